#include "runtime/ops/linear/convolution.h"

#include "runtime/compute/convolution.h"
#include "runtime/ops/linear/post_ops.h"

namespace pli::ops {

std::unique_ptr<Kernel> prepare_convolution(const PrepareContext& context) {
  const ConvView view = ConvView::of(context.graph, context.node);
  const TensorDesc& source = context.inputs[0];
  if (source.rank() < 3 || source.rank() > 5) fail(ErrorCode::kUnsupported, "{} spatial dimensions", source.rank() - 2);
  const Window window = view.resolved(std::span(source.dims).subspan(2));
  compute::ConvolutionProblem problem;
  problem.transposed = view.transposed;
  problem.source = source;
  problem.result = context.outputs[0];
  problem.weight_dims = context.inputs[1].dims;
  problem.weight = context.constant(1);
  problem.has_bias = context.has(2) && context.node.input(2);
  problem.bias = problem.has_bias ? context.constant(2) : nullptr;
  problem.groups = view.group;
  problem.strides = window.strides;
  problem.dilations = window.dilations;
  problem.pads_begin = window.pads_begin;
  problem.pads_end = window.pads_end;
  problem.post_ops = to_post_ops(context);
  problem.cache = context.weights;
  problem.exact = context.exact;
  problem.most_scratch_bytes = context.limits.arena_bytes;
  return compute::make_convolution(problem);
}

}  // namespace pli::ops
