#pragma once

// The one place that includes oneDNN: what differs between its versions stays in this header and onednn.cpp.

#include "runtime/compute/kernel.h"
#include "runtime/compute/post_op.h"
#include "runtime/compute/weight_cache.h"

#include <oneapi/dnnl/dnnl.hpp>

#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace pli::compute {

/// The CPU engine, shared by all.
const dnnl::engine& cpu_engine();

/// Runs `body`; a dnnl::error becomes an Error: kUnsupported where oneDNN has no implementation or does not take the
/// arguments, else kInternal.
template <class Body>
decltype(auto) with_onednn(Body&& body) {
  try {
    return body();
  } catch (const dnnl::error& e) {
    if (e.status == dnnl_out_of_memory) throw std::bad_alloc();
    const bool missing = e.status == dnnl_unimplemented || e.status == dnnl_invalid_arguments;
    fail(missing ? ErrorCode::kUnsupported : ErrorCode::kInternal, "oneDNN: {}", e.message);
  }
}

/// What `make` gives, nothing where oneDNN has no implementation or does not take the arguments.
template <class Make>
auto or_nothing(const Make& make) -> decltype(make()) {
  try {
    return make();
  } catch (const dnnl::error& e) {
    if (e.status != dnnl_unimplemented && e.status != dnnl_invalid_arguments) throw;
    return {};
  }
}

dnnl::memory::data_type to_onednn(DataType dtype);
/// Dimensions and strides as they are. kUnsupported beyond oneDNN's 12 dimensions.
dnnl::memory::desc to_onednn(const TensorDesc& desc);

/// Scratchpad from the caller, and the post-ops; those with an operand are put into `arguments` by
/// add_post_op_arguments.
dnnl::primitive_attr make_attributes(const PostOps& post_ops);

/// What oneDNN would do, before it generates any code for it. `arguments`: of Primitive's description, the empty ones
/// included.
template <class Primitive, class... Arguments>
typename Primitive::primitive_desc describe(const dnnl::primitive_attr& attributes, const Arguments&... arguments) {
#if DNNL_VERSION_MAJOR >= 3
  return {cpu_engine(), arguments..., attributes};
#else
  return {typename Primitive::desc(arguments...), attributes, cpu_engine()};
#endif
}

inline dnnl::memory::dims dims_of(const dnnl::memory::desc& desc) {
#if DNNL_VERSION_MAJOR >= 3
  return desc.get_dims();
#else
  return desc.dims();
#endif
}

inline dnnl::memory::data_type type_of(const dnnl::memory::desc& desc) {
#if DNNL_VERSION_MAJOR >= 3
  return desc.get_data_type();
#else
  return desc.data_type();
#endif
}

/// A weight in the layout that kernels want, with all that it needs kept alive.
using SharedWeights = std::shared_ptr<const dnnl::memory>;

inline const float* floats_of(const SharedWeights& weights) {
  return static_cast<const float*>(weights->get_data_handle());
}

/// An argument of a primitive: an operand of the call, or memory that the kernel owns.
struct Argument {
  enum class Source { kInput, kOutput, kOwned };
  int id = 0;  // DNNL_ARG_...
  dnnl::memory::desc desc;
  Source source = Source::kInput;
  size_t index = 0;       // of the input or output
  SharedWeights weights;  // kOwned
};

/// The arguments that post-ops with operands read.
void add_post_op_arguments(const PostOps& post_ops, std::vector<Argument>& arguments);

/// A row of numbers as memory of a primitive: float32, whatever it is stored as.
SharedWeights packed_bias(const Tensor& bias);

/// Copies elements into another layout, large ones in parallel.
void reorder(const dnnl::memory& from, const dnnl::memory& to);

/// Brings float32 weights at `data` from one dense layout into another where they are, part by part, each copied into
/// `aside`, which grows as needed and stays in the processor's cache. New memory would cost more than the rest: the
/// system clears it first. False, and nothing has changed, where a part of the first dimension would take other memory
/// than before. `is_broken` is set while they are in neither layout, and stays so where this throws then.
bool reorder_in_place(std::byte* data, const dnnl::memory::desc& from, const dnnl::memory::desc& to,
                      std::vector<std::byte>& aside, bool& is_broken);

/// A part of float32 weights, which begins so many bytes behind their start.
struct WeightPart {
  dnnl::memory::desc desc;
  int64_t bytes = 0;
  int64_t counted = 0;  // bytes by which `desc` itself says that it is moved
};

/// A part that begins at `begin`.
dnnl::memory memory_of(const WeightPart& part, std::byte* begin);

SharedWeights part_of(const SharedWeights& all, const WeightPart& part);

/// The part of `all` that begins at `first` along dimension `axis` and has so many elements there. Nothing where it
/// does not begin with a block.
std::optional<WeightPart> part_along(const dnnl::memory::desc& all, size_t axis, int64_t first, int64_t count);

/// A primitive with its arguments. Thread-safe: what a call changes lies in its KernelState.
std::unique_ptr<Kernel> make_primitive_kernel(const dnnl::primitive_desc_base& descriptor,
                                              std::vector<Argument> arguments);

/// Weights in the layouts that kernels want, shared by every kernel of a session. Thread-safe.
class WeightCache {
 public:
  /// `tensor`, described by `from`, in the layout `to`: packed now unless somebody has it.
  SharedWeights get(const Tensor& tensor, const dnnl::memory::desc& from, const dnnl::memory::desc& to);

  /// What make(numbers) gives for `tensor`, unless somebody has it; `form` tells the forms of one tensor apart, and its
  /// shape what is the same memory seen otherwise. A Form
  /// keeps the tensor and knows its bytes(). The numbers may lie elsewhere, as float32, where the tensor's own memory
  /// was given back.
  template <class Form, class Make>
  std::shared_ptr<const Form> form_of(const Tensor& tensor, const std::string& form, const Make& make) {
    const std::scoped_lock lock(mutex_);
    const std::tuple name(tensor.bytes().data(), Shape(tensor.shape().begin(), tensor.shape().end()), form);
    if (const auto found = forms_.find(name); found != forms_.end())
      if (auto there = found->second.form.lock()) return std::static_pointer_cast<const Form>(there);
    std::erase_if(forms_, [](const auto& entry) { return entry.second.form.expired(); });
    auto made = std::make_shared<const Form>(make(content_of(tensor)));
    forms_[name] = {made, made->bytes()};
    return made;
  }

  /// See release_when_packed.
  void release(const Tensor& weight);

  int64_t bytes() const;

 private:
  /// A weight that only this cache may read.
  struct Released {
    dnnl::memory::desc from;
    SharedWeights packed;  // holds its numbers; none: its own memory does
    bool is_lost = false;  // packing it failed half-way
  };
  struct OtherForm {
    std::weak_ptr<const void> form;
    int64_t bytes = 0;
  };
  struct Entry {
    dnnl::memory::desc from, to;
    bool is_copy = false;                       // takes memory beside the tensor's
    std::weak_ptr<const dnnl::memory> weights;  // while they are there, so is their tensor, and its address means it
  };
  SharedWeights make(const Tensor& tensor, const dnnl::memory::desc& from, const dnnl::memory::desc& to);
  Tensor content_of(const Tensor& tensor) const;
  void forget_unused();

  mutable std::mutex mutex_;
  std::unordered_multimap<const std::byte*, Entry> entries_;  // by the tensor's address
  size_t most_entries_ = 0;                                   // before those without weights are looked for
  std::unordered_map<const std::byte*, Released> released_;   // likewise by address
  int64_t unpacked_ = 0;                                      // of those
  std::vector<std::byte> aside_;                              // to pack them
  std::map<std::tuple<const std::byte*, Shape, std::string>, OtherForm> forms_;  // by address, shape and form
};

/// `tensor`, described by `from`, in the layout `to`; from `cache` where there is one. The payload itself, without a
/// copy, when the layouts are equal. What is stored as float16 or bfloat16 becomes float32, which is what `from` says.
SharedWeights packed(const Tensor& tensor, const dnnl::memory::desc& from, const dnnl::memory::desc& to,
                     WeightCache* cache);

}  // namespace pli::compute
