#pragma once

#include <pli/dtype.h>
#include <pli/export.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <ranges>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace pli {

/// Dimensions, outermost first. Never negative in a Tensor; empty for a scalar.
using Shape = std::vector<int64_t>;

/// A container that ends with the expression it stands in, and its memory with it.
template <class Container>
concept Temporary = !std::is_lvalue_reference_v<Container> && !std::ranges::borrowed_range<Container>;

/// A typed array in row-major order. A copy shares the payload; a payload is freed with its last tensor.
///
/// What looks into a tensor is not to be had of one that ends with the expression it stands in.
///
/// Thread-safe to read from many threads; writing needs the only reference.
/// Errors: kInvalidArgument for a shape that is negative, overflows or does not fit the data, and for a wrong T.
class PLI_API Tensor {
 public:
  /// A float32 tensor of shape {0}. So is one that was moved from.
  Tensor() = default;
  Tensor(const Tensor&) = default;
  Tensor& operator=(const Tensor&) = default;
  Tensor(Tensor&& other) noexcept { swap(other); }
  Tensor& operator=(Tensor&& other) noexcept {
    Tensor(std::move(other)).swap(*this);
    return *this;
  }
  ~Tensor() = default;

  /// Zeroed (strings: empty). Owns its memory, aligned to 64 bytes.
  Tensor(DataType dtype, Shape shape);

  /// Borrows `data`, which must outlive every use of the tensor and of its copies.
  template <class T>
  static Tensor view(Shape shape, std::span<const T> data) {
    return borrow(element_type<T>(), std::move(shape), data.data(), data.size_bytes());
  }
  template <class T>
  static Tensor view(Shape shape, std::span<T> data) {
    return view<T>(std::move(shape), std::span<const T>(data));
  }
  template <class T, Temporary Container>
  static Tensor view(Shape shape, Container&& data) = delete;
  template <class T>
  static Tensor view(Shape shape, std::initializer_list<std::initializer_list<T>> data) = delete;

  /// Owns a copy of `data`.
  template <class T>
  static Tensor copy(Shape shape, std::span<const T> data) {
    return duplicate(element_type<T>(), std::move(shape), data.data(), data.size_bytes());
  }

  /// A tensor over `bytes` bytes at `data`, kept alive by `owner`. For a string tensor `data` points to std::string.
  static Tensor adopt(DataType dtype, Shape shape, std::shared_ptr<const void> owner, const void* data, size_t bytes);

  /// The same over memory that nobody else knows, so that it may be written to.
  static Tensor adopt(DataType dtype, Shape shape, std::shared_ptr<std::byte> memory, size_t bytes);

  /// The same payload under another shape of as many elements.
  Tensor reshaped(Shape shape) const;

  DataType dtype() const { return dtype_; }
  std::span<const int64_t> shape() const& {
    // Only the tensor that holds nothing has no elements and no dimension of 0.
    if (shape_.empty() && size_ == 0) return kNoElements;
    return shape_;
  }
  std::span<const int64_t> shape() const&& = delete;

  /// Number of elements.
  size_t size() const { return size_; }

  /// The elements. kInvalidArgument when T is not the tensor's element type.
  template <class T>
  std::span<const T> data() const& {
    check_type(element_type<T>());
    return {static_cast<const T*>(data_), size_};
  }
  template <class T>
  std::span<const T> data() const&& = delete;

  /// How many tensors share the payload, this one included. 0: it is borrowed, or somebody else's constant memory.
  long owners() const { return writable_ ? owner_.use_count() : 0; }

  /// The elements, to write. kInvalidArgument when this is not the payload's only owner.
  template <class T>
  std::span<T> mutable_data() & {
    check_type(element_type<T>());
    return {static_cast<T*>(mutable_raw()), size_};
  }

  /// The payload as bytes, packed types included. Empty for a string tensor.
  std::span<const std::byte> bytes() const&;
  std::span<const std::byte> bytes() const&& = delete;

  /// The payload's address, to write; the same refusals as mutable_data.
  void* mutable_raw() &;

 private:
  static constexpr int64_t kNoElements[] = {0};

  template <class T>
  static constexpr DataType element_type() {
    static_assert(dtype_of<T>() != DataType::kUndefined, "no tensor has elements of this type");
    return dtype_of<T>();
  }

  static Tensor borrow(DataType dtype, Shape shape, const void* data, size_t bytes);
  static Tensor duplicate(DataType dtype, Shape shape, const void* data, size_t bytes);
  void check_type(DataType wanted) const;
  void swap(Tensor& other) noexcept;

  DataType dtype_ = DataType::kFloat32;
  Shape shape_;
  size_t size_ = 0;
  std::shared_ptr<const void> owner_;  // null: borrowed, or nothing to own
  const void* data_ = nullptr;
  bool writable_ = false;  // the payload was made by this class and is not constant memory of somebody else
};

/// "[1, 3, 224, 224]".
PLI_API std::string to_string(std::span<const int64_t> shape);

}  // namespace pli
