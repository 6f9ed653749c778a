#include "runtime/ops/activation/softmax.h"

#include "runtime/compute/softmax.h"

#include <numeric>

namespace pli::ops {

namespace {

using compute::GroupFunction;

std::vector<ir::Type> infer_softmax(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  const ir::Type& input = context.type(0);
  if (input.dims) SoftmaxView::of(context.graph, context.node, input.rank());
  return {input};
}

template <GroupFunction kFunction>
std::unique_ptr<Kernel> prepare_softmax(const PrepareContext& context) {
  const TensorDesc& input = context.inputs[0];
  return compute::make_group_function(kFunction, input,
                                      SoftmaxView::of(context.graph, context.node, input.rank()).axes);
}

/// LpNormalization: its axis (the last unless given), and which norm.
struct LpView {
  int64_t axis = 0;
  GroupFunction function = GroupFunction::kL2;

  static LpView of(const ir::Node& node, int64_t rank) {
    const int64_t p = node.int_or("p", 2);
    if (p != 1 && p != 2) fail(ErrorCode::kInvalidModel, "p {} where 1 or 2 is expected", p);
    return {normalize_axis(node.int_or("axis", -1), rank), p == 1 ? GroupFunction::kL1 : GroupFunction::kL2};
  }
};

std::vector<ir::Type> infer_lp(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  const ir::Type& input = context.type(0);
  if (input.dims) LpView::of(context.node, input.rank());
  return {input};
}

std::unique_ptr<Kernel> prepare_lp(const PrepareContext& context) {
  const TensorDesc& input = context.inputs[0];
  const LpView view = LpView::of(context.node, input.rank());
  return compute::make_group_function(view.function, input, std::span(&view.axis, 1));
}

constexpr DataTypes kFloats = kF32 | kF64;

constexpr Operator kOperators[] = {
    {"Softmax", 1, kNewestOpset, kFloats, infer_softmax, prepare_softmax<GroupFunction::kSoftmax>, shared_layouts},
    {"LogSoftmax", 1, kNewestOpset, kFloats, infer_softmax, prepare_softmax<GroupFunction::kLogSoftmax>,
     shared_layouts},
    {"Hardmax", 1, kNewestOpset, kFloats, infer_softmax, prepare_softmax<GroupFunction::kHardmax>, shared_layouts},
    {"LpNormalization", 1, kNewestOpset, kFloats, infer_lp, prepare_lp, shared_layouts},
};

}  // namespace

SoftmaxView SoftmaxView::of(const ir::Graph& graph, const ir::Node& node, int64_t rank) {
  if (graph.opset("") >= 13) return {{normalize_axis(node.int_or("axis", -1), rank)}};
  // The rows of a matrix: an axis behind the last dimension leaves rows of one element.
  const int64_t axis = node.int_or("axis", 1);
  const int64_t first = axis == rank ? rank : normalize_axis(axis, rank);
  SoftmaxView view{Shape(static_cast<size_t>(rank - first))};
  std::iota(view.axes.begin(), view.axes.end(), first);
  return view;
}

Family softmax_family() { return kOperators; }

}  // namespace pli::ops
