#include "runtime/compute/joined_lines.h"

#include "runtime/compute/line_kernel.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/work_shares.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

// To make some lines, the last kernel has the one before it make those of its source that are missing, and so on. Each
// writes to a strip of memory that holds as many lines as are read at once; what the next lines read again, as filters
// of three lines do, is moved to the strip's front. So nothing between the first source and the last result leaves the
// second cache. The lines of the result are shared among the threads; one that goes on elsewhere makes what its filters
// meet above once more.

namespace pli::compute {

namespace {

constexpr int64_t kFloatBytes = sizeof(float);
constexpr int64_t kMostStripBytes = 384 << 10;  // of the second cache
constexpr int64_t kLeastBytes = 384 << 10;      // of a value that leaves it, so that strips are worth it
constexpr int64_t kLeastLines = 8;              // of a thread, beside what it makes once more
constexpr size_t kMostStages = 8;

using Stages = std::vector<const LineKernel*>;

/// How a chain of kernels is made.
struct Strips {
  int64_t lines = 0;                              // of the last result, at once
  std::array<int64_t, kMostStages> capacities{};  // lines of the strip that each kernel but the last writes to
  int64_t bytes = 0;                              // of all strips
  int64_t scratch_bytes = 0;                      // of the kernel that takes most
};

int64_t strip_bytes(int64_t lines, const LineKernel& kernel) {
  return static_cast<int64_t>(whole_lines(static_cast<size_t>(lines * kernel.sizes().stride * kFloatBytes)));
}

Strips strips_for(const Stages& stages, int64_t lines) {
  Strips strips;
  strips.lines = lines;
  for (size_t i = stages.size(); i-- > 0; lines = stages[i]->most_source_lines(lines)) {
    strips.scratch_bytes = std::max(strips.scratch_bytes, static_cast<int64_t>(stages[i]->line_scratch_bytes(lines)));
    if (i + 1 == stages.size()) continue;
    strips.capacities[i] = lines;
    strips.bytes += strip_bytes(lines, *stages[i]);
  }
  return strips;
}

/// With the most lines at once that the cache holds.
Strips strips_of(const Stages& stages) {
  constexpr int64_t kMostLines = 64;
  const int64_t most = std::min(stages.back()->sizes().lines, kMostLines);
  Strips strips = strips_for(stages, 1);
  for (int64_t lines = 2; lines <= most; ++lines) {
    const Strips larger = strips_for(stages, lines);
    if (larger.bytes + larger.scratch_bytes > kMostStripBytes) break;
    strips = larger;
  }
  return strips;
}

class JoinedLines final : public Kernel {
 public:
  explicit JoinedLines(std::vector<KernelWithInputs> kernels)
      : kernels_(std::move(kernels)),
        stages_(stages_of(kernels_)),
        strips_(strips_of(stages_)),
        lanes_(threads_here()) {}

  const Stages& stages() const { return stages_; }

  /// Those that are joined in it, or itself.
  static std::vector<KernelWithInputs> kernels_of(KernelWithInputs kernel) {
    if (auto* const joined = dynamic_cast<JoinedLines*>(kernel.kernel.get())) return std::move(joined->kernels_);
    std::vector<KernelWithInputs> kernels;
    kernels.push_back(std::move(kernel));
    return kernels;
  }

  size_t scratch_bytes() const override { return scratch_bytes(strips_, lanes_); }
  static size_t scratch_bytes(const Strips& strips, int64_t lanes) {
    return static_cast<size_t>(lanes) * (sizeof(WorkShares::Share) + static_cast<size_t>(lane_bytes(strips)));
  }

  std::string implementation() const override {
    std::string text;
    for (const KernelWithInputs& each : kernels_) text += (text.empty() ? "" : ", ") + each.kernel->implementation();
    return text;
  }

  void run(const RunArgs& args) const override {
    constexpr int64_t kTakes = 4;  // of each thread, at least
    const LineKernel::Sizes result = stages_.back()->sizes();
    auto* memory = static_cast<std::byte*>(args.scratch);
    const std::span shares(reinterpret_cast<WorkShares::Share*>(memory), static_cast<size_t>(lanes_));
    std::ranges::uninitialized_default_construct(shares);
    memory += shares.size_bytes();
    const int64_t lines = result.images * result.lines;
    WorkShares work(shares, lines);
    // Nobody else can make what a thread has taken, should it lose its processor.
    const int64_t most = lanes_ == 1 ? strips_.lines : std::min(strips_.lines, parts_of(lines, kTakes * lanes_));
    parallel_tasks(lanes_, [&](int64_t i) {
      Lane lane(*this, args, memory + i * lane_bytes(strips_));
      for (;;) {
        const Range taken = work.take(static_cast<size_t>(i), most);
        if (taken.size() == 0) return;
        check_interrupt();
        lane.make_result(taken);
      }
    });
  }

 private:
  static Stages stages_of(const std::vector<KernelWithInputs>& kernels) {
    Stages stages;
    for (const KernelWithInputs& each : kernels) stages.push_back(each.kernel->by_lines());
    return stages;
  }

  static int64_t lane_bytes(const Strips& strips) {
    return strips.bytes + static_cast<int64_t>(whole_lines(static_cast<size_t>(strips.scratch_bytes)));
  }

  /// What a thread works with.
  class Lane {
   public:
    Lane(const JoinedLines& joined, const RunArgs& args, std::byte* memory) : joined_(joined), args_(args) {
      for (size_t i = 0; i + 1 < joined.stages_.size(); ++i) {
        strips_[i] = {reinterpret_cast<float*>(memory), joined.stages_[i]->sizes().stride, {0, 0}};
        memory += strip_bytes(joined.strips_.capacities[i], *joined.stages_[i]);
      }
      scratch_ = memory;
    }

    /// Of the lines of all images.
    void make_result(Range lines) {
      const size_t last = joined_.stages_.size() - 1;
      const LineKernel::Sizes result = joined_.stages_[last]->sizes();
      for (int64_t line = lines.begin, end = 0; line < lines.end; line = end) {
        const int64_t image = line / result.lines, first = image * result.lines;
        end = std::min(lines.end, first + result.lines);
        if (image != image_ || line != next_line_)
          for (Strip& strip : strips_) strip.held = {0, 0};
        image_ = image;
        next_line_ = end;
        make(last, joined_.first_input_of(last), {line - first, end - first},
             args_.output<float>(0) + line * result.stride);
      }
    }

   private:
    struct Strip {
      float* data = nullptr;
      int64_t stride = 0;  // numbers from a line to the next
      Range held{0, 0};    // the lines that are there
    };

    /// Lines of what a stage gives, whose operands begin at `input`.
    void make(size_t stage, size_t input, Range lines, float* to) {
      const LineKernel& kernel = *joined_.stages_[stage];
      const size_t inputs = joined_.kernels_[stage].inputs;
      void* nowhere[] = {nullptr};
      LineCall call{
          {args_.inputs.subspan(input, inputs), args_.outputs, scratch_, nullptr}, image_, lines, nullptr, 0, to};
      if (stage + 1 < joined_.stages_.size()) call.args.outputs = nowhere;
      if (stage == 0) {
        const LineKernel::Sizes sizes = kernel.sizes();
        call.source = call.args.input<float>(0) + image_ * sizes.source_lines * sizes.source_stride;
      } else {
        const Range read = kernel.source_lines(lines);
        if (read.size() > 0) fill(stage - 1, input - joined_.kernels_[stage - 1].inputs, read);
        call.source = strips_[stage - 1].data;
        call.source_line = strips_[stage - 1].held.begin;
      }
      kernel.run_lines(call);
    }

    /// Has the strip of a stage hold `wanted`, which does not begin before what it holds.
    void fill(size_t stage, size_t input, Range wanted) {
      Strip& strip = strips_[stage];
      if (wanted.begin > strip.held.end) strip.held = {wanted.begin, wanted.begin};
      if (const int64_t passed = wanted.begin - strip.held.begin; passed > 0) {
        std::memmove(strip.data, strip.data + passed * strip.stride,
                     static_cast<size_t>((strip.held.end - wanted.begin) * strip.stride * kFloatBytes));
        strip.held.begin = wanted.begin;
      }
      const Range missing{strip.held.end, wanted.end};
      if (missing.size() <= 0) return;
      make(stage, input, missing, strip.data + (missing.begin - strip.held.begin) * strip.stride);
      strip.held.end = wanted.end;
    }

    const JoinedLines& joined_;
    const RunArgs& args_;
    std::array<Strip, kMostStages> strips_;
    std::byte* scratch_ = nullptr;
    int64_t image_ = -1, next_line_ = 0;
  };

  size_t first_input_of(size_t stage) const {
    size_t input = 0;
    for (size_t i = 0; i < stage; ++i) input += kernels_[i].inputs;
    return input;
  }

  std::vector<KernelWithInputs> kernels_;
  Stages stages_;
  Strips strips_;
  int64_t lanes_;
};

/// Of one kernel or of those that are joined; none where it can't be made line by line.
Stages stages_of(const Kernel& kernel) {
  if (const auto* const joined = dynamic_cast<const JoinedLines*>(&kernel)) return joined->stages();
  if (const LineKernel* const lines = kernel.by_lines()) return {lines};
  return {};
}

}  // namespace

bool is_worth_joining(const Kernel& kernel) {
  const Stages stages = stages_of(kernel);
  if (stages.empty() || stages.size() >= kMostStages) return false;
  const LineKernel::Sizes sizes = stages.back()->sizes();
  return !sizes.reads_result && sizes.images * sizes.lines * sizes.stride * kFloatBytes > kLeastBytes;
}

bool can_join(const Kernel& first, const Kernel& second, int64_t most_scratch_bytes) {
  const LineKernel* const last = second.by_lines();
  if (!last || !is_worth_joining(first)) return false;
  Stages stages = stages_of(first);
  const LineKernel::Sizes made = stages.back()->sizes(), result = last->sizes();
  if (made.images != result.images || made.lines != result.source_lines || made.stride != result.source_stride)
    return false;
  stages.push_back(last);
  const int64_t lines = result.images * result.lines;
  if (lines < kLeastLines * threads_here() || lines > WorkShares::kMost) return false;
  const Strips strips = strips_of(stages);
  int64_t weights = 0;
  for (const LineKernel* const stage : stages) weights += stage->sizes().weight_bytes;
  // What goes by in strips is to be more than the weights, which are read again for each turn.
  return strips.bytes + strips.scratch_bytes <= kMostStripBytes && 4 * weights <= strips.bytes &&
         static_cast<int64_t>(JoinedLines::scratch_bytes(strips, threads_here())) <= most_scratch_bytes;
}

std::unique_ptr<Kernel> join_lines(KernelWithInputs first, KernelWithInputs second) {
  std::vector<KernelWithInputs> kernels = JoinedLines::kernels_of(std::move(first));
  kernels.push_back(std::move(second));
  return std::make_unique<JoinedLines>(std::move(kernels));
}

}  // namespace pli::compute
