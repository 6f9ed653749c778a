#include "runtime/compute/axis_gather.h"

#include "runtime/compute/parallel.h"
#include "runtime/core/dispatch.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace pli::compute {

namespace {

constexpr int64_t kThreadBytes = 64 * 1024;  // the least that is worth a thread

bool is_identity(std::span<const int64_t> table, int64_t dim) {
  if (static_cast<int64_t>(table.size()) != dim) return false;
  for (size_t i = 0; i < table.size(); ++i)
    if (table[i] != static_cast<int64_t>(i)) return false;
  return true;
}

template <class T>
void copy_row(const T* from, T* to, int64_t count) {
  if (count == 1)
    *to = *from;
  else
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(T));
}

}  // namespace

AxisGather::AxisGather(const TensorDesc& from, const TensorDesc& to, std::vector<std::vector<int64_t>> tables)
    : dtype_(to.dtype) {
  if (to.size() == 0) return;
  std::vector<size_t> order(to.dims.size());
  std::iota(order.rbegin(), order.rend(), size_t{0});
  std::ranges::stable_sort(order, {}, [&](size_t axis) { return to.strides[axis]; });

  auto axis = order.begin();
  for (; axis != order.end(); ++axis) {
    if (to.dims[*axis] == 1 && from.dims[*axis] == 1 && is_identity(tables[*axis], 1)) continue;
    if (to.strides[*axis] != row_ || from.strides[*axis] != row_ || !is_identity(tables[*axis], from.dims[*axis]))
      break;
    row_ *= to.dims[*axis];
  }
  for (; axis != order.end(); ++axis) {
    Axis walked{to.strides[*axis], std::move(tables[*axis])};
    for (int64_t& index : walked.from)
      if (index != kFill) index *= from.strides[*axis];
    outer_.push_back(std::move(walked));
  }
  std::ranges::reverse(outer_);
  if (!outer_.empty()) {
    inner_ = std::move(outer_.back());
    outer_.pop_back();
  }
  blocks_ = 1;
  for (const Axis& walked : outer_) blocks_ *= static_cast<int64_t>(walked.from.size());
}

template <class T>
void AxisGather::gather(const T* from, T* to, const T* fill) const {
  const auto inner = static_cast<int64_t>(inner_.from.size());
  const int64_t block_bytes = inner * row_ * static_cast<int64_t>(sizeof(T));
  parallel_for(blocks_, kThreadBytes / block_bytes, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      bool filled = false;
      const T* source = from;
      T* target = to;
      int64_t rest = block;
      for (size_t i = outer_.size(); i-- > 0;) {
        const auto steps = static_cast<int64_t>(outer_[i].from.size());
        const int64_t at = outer_[i].from[static_cast<size_t>(rest % steps)];
        if (at == kFill)
          filled = true;
        else
          source += at;
        target += rest % steps * outer_[i].step;
        rest /= steps;
      }
      for (int64_t i = 0; i < inner; ++i, target += inner_.step) {
        const int64_t at = filled ? kFill : inner_.from[static_cast<size_t>(i)];
        if (at == kFill)
          std::fill_n(target, row_, *fill);
        else
          copy_row(source + at, target, row_);
      }
    }
  });
}

void AxisGather::run(const void* from, void* to, const void* fill) const {
  if (blocks_ == 0) return;
  with_bits_type(dtype_, [&]<class T>(T) {
    gather(static_cast<const T*>(from), static_cast<T*>(to), static_cast<const T*>(fill));
  });
}

}  // namespace pli::compute
