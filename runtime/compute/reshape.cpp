#include "runtime/compute/reshape.h"

#include "runtime/compute/copy.h"
#include "runtime/core/error.h"

#include <algorithm>

namespace pli::compute {

namespace {

struct Run {
  int64_t count;
  int64_t stride;
};

/// The dimensions larger than 1, innermost first, neighbours that are contiguous in row-major order merged.
std::vector<Run> merged_runs(const TensorDesc& desc) {
  std::vector<Run> runs;
  for (size_t i = desc.dims.size(); i-- > 0;) {
    if (desc.dims[i] == 1) continue;
    if (!runs.empty() && desc.strides[i] == runs.back().stride * runs.back().count)
      runs.back().count *= desc.dims[i];
    else
      runs.push_back({desc.dims[i], desc.strides[i]});
  }
  return runs;
}

/// Dimensions, innermost first, into which both shapes can be split, with the strides of both.
struct Refinement {
  std::vector<int64_t> dims, from, to;
};

std::optional<Refinement> refine(const TensorDesc& from, const TensorDesc& to) {
  std::vector<Run> a = merged_runs(from);
  std::vector<Run> b = merged_runs(to);
  Refinement result;
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    const int64_t piece = std::min(i->count, j->count);
    if (i->count % piece != 0 || j->count % piece != 0) return std::nullopt;
    result.dims.push_back(piece);
    result.from.push_back(i->stride);
    result.to.push_back(j->stride);
    for (auto* side : {&i, &j}) {
      Run& run = **side;
      run = {run.count / piece, run.stride * piece};
      if (run.count == 1) ++*side;
    }
  }
  return result;
}

/// First to a row-major copy in scratch memory, which can be split like any shape, then on.
class TwoStepCopy final : public Kernel {
 public:
  TwoStepCopy(const TensorDesc& from, const TensorDesc& to)
      : bytes_(static_cast<size_t>(span_bytes(plain(from.dtype, from.dims)))),
        gather_(make_copy(from, plain(from.dtype, from.dims))),
        place_(make_reshape_copy(plain(from.dtype, from.dims), to)) {}

  void run(const RunArgs& args) const override {
    void* const middle = args.scratch;
    const void* const source = args.scratch;
    gather_->run({args.inputs, {&middle, 1}});
    place_->run({{&source, 1}, args.outputs});
  }
  size_t scratch_bytes() const override { return bytes_; }

 private:
  size_t bytes_;
  std::unique_ptr<Kernel> gather_, place_;
};

}  // namespace

std::optional<std::vector<int64_t>> reshape_strides(const TensorDesc& from, std::span<const int64_t> dims) {
  if (std::ranges::find(dims, 0) != dims.end()) return plain_strides(dims);
  const std::vector<Run> runs = merged_runs(from);
  std::vector<int64_t> strides(dims.size());
  auto run = runs.begin();
  Run rest = run != runs.end() ? *run : Run{1, 1};
  for (size_t i = dims.size(); i-- > 0;) {
    strides[i] = rest.stride;
    if (rest.count % dims[i] != 0) return std::nullopt;
    rest = {rest.count / dims[i], rest.stride * dims[i]};
    if (rest.count == 1 && run != runs.end() && ++run != runs.end()) rest = *run;
  }
  return strides;
}

std::unique_ptr<Kernel> make_reshape_copy(const TensorDesc& from, const TensorDesc& to) {
  if (from.size() != to.size() || from.dtype != to.dtype)
    fail(ErrorCode::kInternal, "a reshape of {} {} to {} {}", to_string(from.dtype), to_string(from.dims),
         to_string(to.dtype), to_string(to.dims));
  if (from.size() == 0) return make_kernel([](const RunArgs&) {});
  const auto common = refine(from, to);
  if (!common) return std::make_unique<TwoStepCopy>(from, to);
  return make_kernel([copy = StridedCopy(from.dtype, common->dims, common->from, common->to)](const RunArgs& args) {
    copy.run(args.inputs[0], args.outputs[0]);
  });
}

}  // namespace pli::compute
