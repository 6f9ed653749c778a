#include "runtime/compute/weight_cache.h"

#include "runtime/compute/halves.h"
#include "runtime/compute/onednn.h"
#include "runtime/core/memory.h"

namespace pli::compute {

using dnnl::memory;

namespace {

/// The numbers of a weight, `tensor`, whose name is the address of the one that is `stored`.
SharedWeights pack(const Tensor& stored, const Tensor& tensor, const memory::desc& from, const memory::desc& to) {
  struct Packed {
    Tensor stored;
    Tensor tensor;
    memory weights;
    std::shared_ptr<std::byte> copy;  // of another layout
  };
  auto packed = std::shared_ptr<Packed>(
      new Packed{stored, tensor, memory(from, cpu_engine(), const_cast<std::byte*>(tensor.bytes().data())), nullptr});
  if (!(from == to)) {
    packed->copy = allocate(to.get_size());
    const memory source = std::exchange(packed->weights, memory(to, cpu_engine(), packed->copy.get()));
    reorder(source, packed->weights);
    packed->tensor = stored;  // what was made for this is needed no more
  }
  return {packed, &packed->weights};
}

SharedWeights pack(const Tensor& stored, const memory::desc& from, const memory::desc& to) {
  return pack(stored, is_half(stored.dtype()) ? widened(stored) : stored, from, to);
}

/// The float32 numbers that were packed, row-major.
Tensor unpacked(const memory& packed, const memory::desc& plain, std::span<const int64_t> shape) {
  Tensor tensor(DataType::kFloat32, Shape(shape.begin(), shape.end()));
  reorder(packed, memory(plain, cpu_engine(), tensor.mutable_raw()));
  return tensor;
}

}  // namespace

std::shared_ptr<WeightCache> make_weight_cache() { return std::make_shared<WeightCache>(); }

void release_when_packed(WeightCache& cache, const Tensor& weight) { cache.release(weight); }

int64_t packed_bytes(const WeightCache& cache) { return cache.bytes(); }

SharedWeights packed(const Tensor& tensor, const memory::desc& from, const memory::desc& to, WeightCache* cache) {
  return cache ? cache->get(tensor, from, to) : pack(tensor, from, to);
}

SharedWeights packed_bias(const Tensor& bias) {
  const memory::desc row({static_cast<int64_t>(bias.size())}, memory::data_type::f32, memory::format_tag::x);
  return pack(bias, row, row);
}

SharedWeights WeightCache::get(const Tensor& tensor, const memory::desc& from, const memory::desc& to) {
  const std::scoped_lock lock(mutex_);
  const std::byte* const address = tensor.bytes().data();
  const auto [begin, end] = entries_.equal_range(address);
  for (auto entry = begin; entry != end; ++entry) {
    const auto& [key, known] = *entry;
    if (!(known.from == from && known.to == to)) continue;
    if (SharedWeights weights = known.weights.lock()) return weights;
  }
  if (entries_.size() >= most_entries_) forget_unused();
  SharedWeights weights = make(tensor, from, to);
  entries_.emplace(address, Entry{from, to, weights->get_data_handle() != address || !(from == to), weights});
  return weights;
}

SharedWeights WeightCache::make(const Tensor& tensor, const memory::desc& from, const memory::desc& to) {
  const auto found = released_.find(tensor.bytes().data());
  if (found == released_.end()) return pack(tensor, from, to);
  Released& released = found->second;
  if (released.packed || released.is_lost) return pack(tensor, content_of(tensor), from, to);
  auto* const data = const_cast<std::byte*>(tensor.bytes().data());
  const bool as_it_is = from == to && !is_half(tensor.dtype());
  const bool in_place =
      !as_it_is && !is_half(tensor.dtype()) && reorder_in_place(data, from, to, aside_, released.is_lost);
  released.is_lost = in_place;  // until that is known here
  SharedWeights weights = in_place ? pack(tensor, to, to) : pack(tensor, from, to);
  if (--unpacked_ == 0) aside_ = {};
  if (as_it_is) {  // a kernel reads its own memory
    released_.erase(found);
  } else {
    released = {from, weights};
    if (!in_place) discard(tensor.bytes());
  }
  return weights;
}

Tensor WeightCache::content_of(const Tensor& tensor) const {
  const auto found = released_.find(tensor.bytes().data());
  if (found == released_.end()) return tensor;
  if (found->second.is_lost) fail(ErrorCode::kInternal, "a weight was lost when packing it failed");
  if (!found->second.packed) return tensor;
  return unpacked(*found->second.packed, found->second.from, tensor.shape());
}

void WeightCache::release(const Tensor& weight) {
  const std::scoped_lock lock(mutex_);
  if (released_.try_emplace(weight.bytes().data()).second) ++unpacked_;
}

int64_t WeightCache::bytes() const {
  const std::scoped_lock lock(mutex_);
  int64_t total = 0;
  for (const auto& [address, entry] : entries_)
    if (entry.is_copy && !entry.weights.expired()) total += static_cast<int64_t>(entry.to.get_size());
  for (const auto& [name, other] : forms_)
    if (!other.form.expired()) total += other.bytes;
  return total;
}

void WeightCache::forget_unused() {
  std::erase_if(entries_, [](const auto& entry) { return entry.second.weights.expired(); });
  most_entries_ = 2 * entries_.size() + 64;
}

}  // namespace pli::compute
