#include "runtime/compute/sliced.h"

#include "runtime/compute/parallel.h"

#include <algorithm>

namespace pli::compute {

namespace {

class SlicedKernel final : public Kernel {
 public:
  explicit SlicedKernel(std::vector<Slice> slices) : slices_(std::move(slices)) {
    for (const Slice& slice : slices_) scratch_ = std::max(scratch_, whole_lines(slice.kernel->scratch_bytes()));
  }

  size_t scratch_bytes() const override { return slices_.size() * scratch_; }
  std::string implementation() const override {
    return fmt::format("{} x{}", slices_.front().kernel->implementation(), slices_.size());
  }

  std::unique_ptr<KernelState> make_state() const override {
    auto state = std::make_unique<State>();
    for (const Slice& slice : slices_) state->slices.push_back({slice.kernel->make_state(), {}});
    return state;
  }

  void run(const RunArgs& args) const override {
    auto& state = *static_cast<State*>(args.state);
    parallel_tasks(static_cast<int64_t>(slices_.size()), [&](int64_t i) {
      const auto index = static_cast<size_t>(i);
      const Slice& slice = slices_[index];
      auto& [own, inputs] = state.slices[index];
      inputs.assign(args.inputs.begin(), args.inputs.end());
      for (size_t input = 0; input < std::min(inputs.size(), slice.input_bytes.size()); ++input)
        if (inputs[input]) inputs[input] = static_cast<const std::byte*>(inputs[input]) + slice.input_bytes[input];
      void* outputs[] = {args.output<std::byte>(0) + slice.output_bytes};
      slice.kernel->run({inputs, outputs, static_cast<std::byte*>(args.scratch) + index * scratch_, own.get()});
    });
  }

 private:
  struct State final : KernelState {
    struct Of {
      std::unique_ptr<KernelState> own;
      std::vector<const void*> inputs;
    };
    std::vector<Of> slices;
  };

  std::vector<Slice> slices_;
  size_t scratch_ = 0;  // of each
};

}  // namespace

std::unique_ptr<Kernel> make_sliced(std::vector<Slice> slices) {
  return std::make_unique<SlicedKernel>(std::move(slices));
}

Range range_of_part(int64_t size, int64_t part, int64_t parts, int64_t block) {
  const int64_t blocks = (size + block - 1) / block;
  return {std::min(blocks * part / parts * block, size), std::min(blocks * (part + 1) / parts * block, size)};
}

}  // namespace pli::compute
