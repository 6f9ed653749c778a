#pragma once

#include <pli/export.h>
#include <pli/tensor.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace pli {

/// What flows along an edge of a model: a tensor, a sequence of values, or an optional value.
class PLI_API Value {
 public:
  using Sequence = std::vector<Value>;
  /// Null when the optional is empty.
  using Optional = std::shared_ptr<const Value>;

  Value() = default;
  Value(Tensor tensor) : content_(std::move(tensor)) {}  // NOLINT: a tensor is a value
  Value(Sequence sequence) : content_(std::move(sequence)) {}
  Value(Optional optional) : content_(std::move(optional)) {}

  bool is_tensor() const { return std::holds_alternative<Tensor>(content_); }
  bool is_sequence() const { return std::holds_alternative<Sequence>(content_); }
  bool is_optional() const { return std::holds_alternative<Optional>(content_); }

  /// kInvalidArgument when it holds something else.
  const Tensor& tensor() const;
  const Sequence& sequence() const;
  const Optional& optional() const;

  /// The tensor's, for a value that holds a tensor.
  DataType dtype() const { return tensor().dtype(); }
  std::span<const int64_t> shape() const { return tensor().shape(); }
  template <class T>
  std::span<const T> data() const {
    return tensor().data<T>();
  }

 private:
  std::variant<Tensor, Sequence, Optional> content_;
};

/// An ordered list of (name, value).
class PLI_API NamedValues {
 public:
  using Item = std::pair<std::string, Value>;

  NamedValues() = default;
  NamedValues(std::initializer_list<Item> items) : items_(items) {}

  void add(std::string name, Value value) { items_.emplace_back(std::move(name), std::move(value)); }

  /// kInvalidArgument, with the right names, when there is no such name.
  const Value& at(std::string_view name) const;

  /// Null when there is no such name.
  const Value* find(std::string_view name) const;

  size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }

 private:
  std::vector<Item> items_;
};

}  // namespace pli
