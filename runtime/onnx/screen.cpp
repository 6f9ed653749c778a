#include "runtime/onnx/screen.h"

#include "runtime/core/files.h"
#include "runtime/onnx/tensor_proto.h"

#include <charconv>
#include <functional>

namespace pli {

namespace {

/// Where the payload of an external tensor lies.
struct Range {
  std::string location;
  int64_t offset = 0;
  std::optional<int64_t> length;
};

int64_t parse_count(const std::string& key, const std::string& text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < 0)
    fail(ErrorCode::kInvalidModel, "external data {} \"{}\" is not a number of bytes", key, text);
  return value;
}

/// Keys beside the three are ignored: nothing depends on them.
Range parse_range(const onnx::TensorProto& tensor) {
  Range range;
  std::optional<std::string> location;
  std::optional<int64_t> offset;
  const auto once = [](const std::string& key, const auto& slot) {
    if (slot) fail(ErrorCode::kInvalidModel, "external data has two entries for {}", key);
  };
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    if (entry.key() == "location") {
      once(entry.key(), location);
      location = entry.value();
    } else if (entry.key() == "offset") {
      once(entry.key(), offset);
      offset = parse_count(entry.key(), entry.value());
    } else if (entry.key() == "length") {
      once(entry.key(), range.length);
      range.length = parse_count(entry.key(), entry.value());
    }
  }
  if (!location) fail(ErrorCode::kInvalidModel, "external data has no location");
  range.location = *location;
  range.offset = offset.value_or(0);
  return range;
}

bool has_inline_data(const onnx::TensorProto& tensor) {
  return !tensor.raw_data().empty() || tensor.float_data_size() > 0 || tensor.int32_data_size() > 0 ||
         tensor.string_data_size() > 0 || tensor.int64_data_size() > 0 || tensor.double_data_size() > 0 ||
         tensor.uint64_data_size() > 0;
}

/// Visits every tensor of a model that is marked as external, wherever it hides, and counts nodes and levels on the
/// way.
class Walk {
 public:
  Walk(const Limits& limits, std::function<void(onnx::TensorProto&)> visit)
      : limits_(limits), visit_(std::move(visit)) {}

  void model(onnx::ModelProto& proto) {
    if (proto.has_graph()) graph(*proto.mutable_graph(), 0);
    for (onnx::FunctionProto& function : *proto.mutable_functions())
      with_context(fmt::format("function \"{}\"", function.name()), [&] { nodes(*function.mutable_node(), 0); });
    for (onnx::TrainingInfoProto& training : *proto.mutable_training_info()) {
      if (training.has_initialization()) graph(*training.mutable_initialization(), 0);
      if (training.has_algorithm()) graph(*training.mutable_algorithm(), 0);
    }
  }

 private:
  void graph(onnx::GraphProto& proto, int depth) {
    if (depth > limits_.graph_depth)
      fail(ErrorCode::kResourceLimit, "graphs are nested deeper than the limit of {}", limits_.graph_depth);
    for (onnx::TensorProto& initializer : *proto.mutable_initializer()) tensor(initializer);
    for (onnx::SparseTensorProto& initializer : *proto.mutable_sparse_initializer()) sparse(initializer);
    nodes(*proto.mutable_node(), depth);
  }

  void nodes(google::protobuf::RepeatedPtrField<onnx::NodeProto>& protos, int depth) {
    for (onnx::NodeProto& node : protos) {
      if (node.attribute_size() == 0) continue;
      with_context(describe(node), [&] {
        for (onnx::AttributeProto& each : *node.mutable_attribute()) attribute(each, depth);
      });
    }
  }

  void attribute(onnx::AttributeProto& proto, int depth) {
    if (proto.has_t()) tensor(*proto.mutable_t());
    for (onnx::TensorProto& each : *proto.mutable_tensors()) tensor(each);
    if (proto.has_sparse_tensor()) sparse(*proto.mutable_sparse_tensor());
    for (onnx::SparseTensorProto& each : *proto.mutable_sparse_tensors()) sparse(each);
    if (proto.has_g()) graph(*proto.mutable_g(), depth + 1);
    for (onnx::GraphProto& each : *proto.mutable_graphs()) graph(each, depth + 1);
  }

  void sparse(onnx::SparseTensorProto& proto) {
    if (proto.has_values()) tensor(*proto.mutable_values());
    if (proto.has_indices()) tensor(*proto.mutable_indices());
  }

  void tensor(onnx::TensorProto& proto) {
    if (proto.data_location() == onnx::TensorProto::EXTERNAL) {
      if (proto.name().empty())
        visit_(proto);
      else
        with_context(fmt::format("tensor \"{}\"", proto.name()), [&] { visit_(proto); });
    } else {
      // Entries without the mark would be written back as if they meant something.
      proto.clear_external_data();
    }
  }

  const Limits& limits_;
  std::function<void(onnx::TensorProto&)> visit_;
};

/// Reads the payloads of external tensors of one model.
class ExternalReader {
 public:
  ExternalReader(const std::optional<std::filesystem::path>& folder, const Limits& limits)
      : folder_(folder), limits_(limits) {}

  void bring_in(onnx::TensorProto& proto) {
    if (!folder_) fail(ErrorCode::kInvalidModel, "a model that is read from memory can't have external data");
    if (has_inline_data(proto))
      fail(ErrorCode::kInvalidModel, "the payload is given twice, inline and as external data");
    const int64_t elements = checked_elements(proto, limits_);
    const auto dtype = static_cast<DataType>(proto.data_type());
    if (dtype == DataType::kString) fail(ErrorCode::kInvalidModel, "strings can't be external data");
    const Range range = parse_range(proto);
    const InputFile& source = open(range.location);
    const int64_t length = checked_length(range, packed_bytes(dtype, elements), source.size());
    bytes_ += length;  // can't overflow: it is checked after each term, and a term is at most a file's size
    if (bytes_ > limits_.external_bytes)
      fail(ErrorCode::kResourceLimit, "more external data than the limit of {} bytes", limits_.external_bytes);
    std::string& raw = *proto.mutable_raw_data();
    raw.resize(static_cast<size_t>(length));
    source.read(range.offset, std::as_writable_bytes(std::span(raw)));
    proto.clear_external_data();
    proto.clear_data_location();
  }

 private:
  /// `wanted`: what the tensor takes; nothing when its data type is not known.
  static int64_t checked_length(const Range& range, std::optional<int64_t> wanted, int64_t file_size) {
    if (range.offset > file_size)
      fail(ErrorCode::kInvalidModel, "external data offset {} is behind the end of \"{}\" ({} bytes)", range.offset,
           range.location, file_size);
    const int64_t length = range.length.value_or(wanted.value_or(file_size - range.offset));
    if (wanted && length != *wanted)
      fail(ErrorCode::kInvalidModel, "external data has {} bytes; the tensor takes {}", length, *wanted);
    if (length > file_size - range.offset)
      fail(ErrorCode::kInvalidModel, "external data of {} bytes at offset {} passes the end of \"{}\" ({} bytes)",
           length, range.offset, range.location, file_size);
    return length;
  }

  const InputFile& open(const std::string& location) {
    if (!file_ || location_ != location) {
      file_.reset();
      file_.emplace(InputFile::inside(*folder_, location));
      location_ = location;
    }
    return *file_;
  }

  const std::optional<std::filesystem::path>& folder_;
  const Limits& limits_;
  int64_t bytes_ = 0;
  std::optional<InputFile> file_;  // the last one opened: most models have one
  std::string location_;
};

}  // namespace

bool screen(onnx::ModelProto& model, const std::optional<std::filesystem::path>& folder, const Limits& limits) {
  ExternalReader reader(folder, limits);
  bool found = false;
  Walk(limits, [&](onnx::TensorProto& tensor) {
    found = true;
    reader.bring_in(tensor);
  }).model(model);
  return found;
}

std::set<std::string> external_locations(onnx::ModelProto& model, const Limits& limits) {
  std::set<std::string> locations;
  Walk(limits, [&](const onnx::TensorProto& tensor) { locations.insert(parse_range(tensor).location); }).model(model);
  return locations;
}

}  // namespace pli
