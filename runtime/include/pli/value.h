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
///
/// Of a value that ends with the expression it stands in, a part is given as a copy, which shares the payload, and what
/// looks into it is not to be had.
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
  const Tensor& tensor() const&;
  Tensor tensor() const&& { return tensor(); }
  const Sequence& sequence() const&;
  Sequence sequence() const&& { return sequence(); }
  const Optional& optional() const&;
  Optional optional() const&& { return optional(); }

  /// The tensor's, for a value that holds a tensor.
  DataType dtype() const { return tensor().dtype(); }
  std::span<const int64_t> shape() const& { return tensor().shape(); }
  std::span<const int64_t> shape() const&& = delete;
  template <class T>
  std::span<const T> data() const& {
    return tensor().data<T>();
  }
  template <class T>
  std::span<const T> data() const&& = delete;

 private:
  std::variant<Tensor, Sequence, Optional> content_;
};

/// An ordered list of (name, value). Of a list that ends with the expression it stands in, `at` gives a copy of the
/// value, which shares the payload.
class PLI_API NamedValues {
 public:
  using Item = std::pair<std::string, Value>;

  NamedValues() = default;
  NamedValues(std::initializer_list<Item> items) : items_(items) {}

  void add(std::string name, Value value) { items_.emplace_back(std::move(name), std::move(value)); }

  /// kInvalidArgument, with the right names, when there is no such name.
  const Value& at(std::string_view name) const&;
  Value at(std::string_view name) const&& { return at(name); }

  /// Null when there is no such name.
  const Value* find(std::string_view name) const&;
  const Value* find(std::string_view name) const&& = delete;

  size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  auto begin() const& { return items_.begin(); }
  auto end() const& { return items_.end(); }
  void begin() const&& = delete;
  void end() const&& = delete;

 private:
  std::vector<Item> items_;
};

}  // namespace pli
