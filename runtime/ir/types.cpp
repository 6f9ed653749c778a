#include "runtime/ir/types.h"

namespace pli::ir {

std::optional<PerAxis> Type::shape() const {
  if (!dims) return std::nullopt;
  PerAxis shape;
  for (const Dim& dim : *dims) {
    if (!dim.known()) return std::nullopt;
    shape.push_back(dim.value());
  }
  return shape;
}

std::string to_string(const Dim& dim) {
  if (dim.known()) return std::to_string(dim.value());
  return dim.symbolic() ? dim.symbol() : "?";
}

std::string to_string(const Type& type) {
  if (type.kind != Type::Kind::kTensor) return "non-tensor";
  std::string text = type.dtype == DataType::kUndefined ? "?" : to_string(type.dtype);
  if (!type.dims) return text + "[...]";
  text += "[";
  for (size_t i = 0; i < type.dims->size(); ++i) text += (i ? ", " : "") + to_string((*type.dims)[i]);
  return text + "]";
}

}  // namespace pli::ir
