#pragma once

#include <pli/limits.h>
#include <pli/value.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace pli {

/// What a file of ONNX test data holds. The files don't say so themselves: the model's declarations do.
enum class FileKind {
  kTensor,    // a TensorProto
  kSequence,  // a SequenceProto
  kOptional,  // an OptionalProto
  kOther,     // a map or a sparse tensor, for which there is no Value
};

/// The kind of file that values of a declaration are kept in; `declaration` is `extra` of a graph's input or output. A
/// tensor where nothing is declared.
FileKind declared_file_kind(const std::string& declaration);

/// Reads an untrusted file of test data: the value, with the name that the file gives it, which may be empty.
/// kInvalidArgument: not such a file, payloads that do not fit. kUnsupported: a map, a sparse tensor, or a data type
/// without a known width.
NamedValues::Item parse_value(std::span<const std::byte> bytes, FileKind kind, const Limits& limits);

/// The value as a TensorProto, SequenceProto or OptionalProto.
std::string serialize_value(std::string_view name, const Value& value);

}  // namespace pli
