#pragma once

#include "runtime/core/small_vector.h"
#include "runtime/core/tensor.h"

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace pli::ir {

/// The number of a node or a value inside one graph. A default-made id means "none": an omitted optional input or
/// output.
template <class Tag>
struct Id {
  int32_t index = -1;
  explicit operator bool() const { return index >= 0; }
  auto operator<=>(const Id&) const = default;
};
using NodeId = Id<struct NodeTag>;
using ValueId = Id<struct ValueTag>;

/// One dimension of a declared or inferred type: a number, a named symbol, or not known. Copies share the symbol's
/// name: types are copied from value to value.
class Dim {
 public:
  Dim() = default;
  Dim(int64_t value) : content_(value) {}  // NOLINT: a number is a dimension
  Dim(std::string symbol) : content_(std::make_shared<const std::string>(std::move(symbol))) {}

  bool known() const { return std::holds_alternative<int64_t>(content_); }
  bool symbolic() const { return std::holds_alternative<Symbol>(content_); }
  /// Only where known().
  int64_t value() const { return std::get<int64_t>(content_); }
  /// Only where symbolic().
  const std::string& symbol() const { return *std::get<Symbol>(content_); }

  /// Certainly equal: the same number or the same symbol.
  bool operator==(const Dim& other) const {
    if (known() && other.known()) return value() == other.value();
    return symbolic() && other.symbolic() && symbol() == other.symbol();
  }

 private:
  using Symbol = std::shared_ptr<const std::string>;
  std::variant<std::monostate, int64_t, Symbol> content_;
};
using Dims = std::vector<Dim>;

/// The type of a value. `dims` is absent when not even the rank is known; `dtype` kUndefined when not known.
struct Type {
  enum class Kind { kTensor, kOther };  // kOther: a sequence, map, optional or sparse tensor; kept, not run

  Kind kind = Kind::kTensor;
  DataType dtype = DataType::kUndefined;
  std::optional<Dims> dims;

  static Type tensor(DataType dtype, std::optional<Dims> dims = std::nullopt) {
    return {Kind::kTensor, dtype, std::move(dims)};
  }
  static Type of(const Tensor& tensor) {
    return {Kind::kTensor, tensor.dtype(), Dims(tensor.shape().begin(), tensor.shape().end())};
  }

  bool has_rank() const { return dims.has_value(); }
  /// -1 when not known.
  int64_t rank() const { return dims ? static_cast<int64_t>(dims->size()) : -1; }
  /// The dimensions when every one is known.
  std::optional<PerAxis> shape() const;
  bool operator==(const Type&) const = default;
};

/// "float32[batch, 3, 224, 224]"; "?" for what is not known.
std::string to_string(const Type& type);
std::string to_string(const Dim& dim);

}  // namespace pli::ir
