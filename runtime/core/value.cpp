#include "runtime/core/error.h"

#include <pli/value.h>

namespace pli {

const Tensor& Value::tensor() const& {
  if (const auto* tensor = std::get_if<Tensor>(&content_)) return *tensor;
  fail(ErrorCode::kInvalidArgument, "the value is {}, not a tensor", is_sequence() ? "a sequence" : "an optional");
}

const Value::Sequence& Value::sequence() const& {
  if (const auto* sequence = std::get_if<Sequence>(&content_)) return *sequence;
  fail(ErrorCode::kInvalidArgument, "the value is not a sequence");
}

const Value::Optional& Value::optional() const& {
  if (const auto* optional = std::get_if<Optional>(&content_)) return *optional;
  fail(ErrorCode::kInvalidArgument, "the value is not an optional");
}

const Value* NamedValues::find(std::string_view name) const& {
  for (const auto& [key, value] : items_)
    if (key == name) return &value;
  return nullptr;
}

const Value& NamedValues::at(std::string_view name) const& {
  if (const Value* value = find(name)) return *value;
  std::vector<std::string> names;
  for (const auto& item : items_) names.push_back(item.first);
  fail(ErrorCode::kInvalidArgument, "no value is named \"{}\"; there are {}", name, suggest(name, names));
}

}  // namespace pli
