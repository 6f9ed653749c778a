#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace pli {

/// A std::vector of which up to `kInline` elements need no memory beside the object itself: dimensions and strides are
/// made and copied by the thousand while a plan is compiled. What was named of an element ends with every change
/// of the size, and with a move.
template <class T, size_t kInline>
class SmallVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  SmallVector() = default;
  explicit SmallVector(size_t size, T value = T()) { resize(size, value); }
  SmallVector(std::initializer_list<T> values) : SmallVector(values.begin(), values.end()) {}
  template <std::contiguous_iterator Iterator>
  SmallVector(Iterator first, Iterator last) {
    make_room(static_cast<size_t>(last - first));
    std::copy(first, last, data());
  }
  SmallVector(std::span<const T> values) : SmallVector(values.begin(), values.end()) {}     // NOLINT: a copy of them
  SmallVector(const std::vector<T>& values) : SmallVector(values.begin(), values.end()) {}  // NOLINT: the same
  operator std::vector<T>() const { return std::vector<T>(begin(), end()); }                // NOLINT: the same
  SmallVector(const SmallVector& other) : SmallVector(other.begin(), other.end()) {}
  SmallVector(SmallVector&& other) noexcept { swap(other); }
  SmallVector& operator=(const SmallVector& other) {
    if (this != &other) assign(other.begin(), other.end());
    return *this;
  }
  SmallVector& operator=(SmallVector&& other) noexcept {
    SmallVector(std::move(other)).swap(*this);
    return *this;
  }
  ~SmallVector() = default;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return heap_ ? heap_.get() : inline_.data(); }
  const T* data() const { return heap_ ? heap_.get() : inline_.data(); }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  auto rbegin() { return std::reverse_iterator(end()); }
  auto rend() { return std::reverse_iterator(begin()); }
  auto rbegin() const { return std::reverse_iterator(end()); }
  auto rend() const { return std::reverse_iterator(begin()); }
  T& operator[](size_t i) { return data()[i]; }
  const T& operator[](size_t i) const { return data()[i]; }
  T& front() { return *begin(); }
  const T& front() const { return *begin(); }
  T& back() { return end()[-1]; }
  const T& back() const { return end()[-1]; }

  void clear() { size_ = 0; }
  void resize(size_t size, T value = T()) {
    const size_t before = size_;
    make_room(size);
    if (size > before) std::fill(begin() + before, end(), value);
  }
  void push_back(T value) { resize(size_ + 1, value); }
  void pop_back() { --size_; }
  template <std::input_iterator Iterator>
  void assign(Iterator first, Iterator last) {
    clear();
    make_room(static_cast<size_t>(last - first));
    std::copy(first, last, data());
  }
  void assign(size_t size, T value) {
    clear();
    resize(size, value);
  }
  T* insert(const T* where, T value) {
    const auto index = where - begin();
    push_back(value);
    std::rotate(begin() + index, end() - 1, end());
    return begin() + index;
  }
  template <class Iterator>
  T* insert(const T* where, Iterator first, Iterator last) {
    const auto index = where - begin();
    const size_t before = size_;
    make_room(size_ + static_cast<size_t>(last - first));
    std::copy(first, last, begin() + before);
    std::rotate(begin() + index, begin() + before, end());
    return begin() + index;
  }
  T* erase(const T* where) {
    const auto index = where - begin();
    std::copy(begin() + index + 1, end(), begin() + index);
    pop_back();
    return begin() + index;
  }

  friend bool operator==(const SmallVector& a, const SmallVector& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  /// The first elements stay, those behind them are anything.
  void make_room(size_t size) {
    if (size > (heap_ ? capacity_ : kInline)) {
      const size_t capacity = std::max<size_t>(size, size_t{2} * size_);
      if (capacity > UINT32_MAX) throw std::length_error("SmallVector");
      auto more = std::make_unique_for_overwrite<T[]>(capacity);
      std::copy(begin(), end(), more.get());
      heap_ = std::move(more);
      capacity_ = static_cast<uint32_t>(capacity);
    }
    size_ = static_cast<uint32_t>(size);
  }
  void swap(SmallVector& other) noexcept {
    std::swap(heap_, other.heap_);
    std::swap(inline_, other.inline_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  std::unique_ptr<T[]> heap_;  // null: the elements are in the object
  std::array<T, kInline> inline_{};
  uint32_t size_ = 0;
  uint32_t capacity_ = 0;  // of the heap's
};

/// A number for each axis of a tensor: dimensions, strides, pads.
using PerAxis = SmallVector<int64_t, 6>;

}  // namespace pli
