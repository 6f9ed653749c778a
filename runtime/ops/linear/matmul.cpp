#include "runtime/ops/linear/matmul.h"

#include <algorithm>
#include <array>

namespace pli::ops {

namespace {

/// From this version on C may be omitted.
constexpr int64_t kOptionalC = 11;

/// Takes `dim` as a size that all of its places agree in; `size` is -1 while not known.
void agree(int64_t& size, const ir::Dim& dim, std::string_view what) {
  if (!dim.known()) return;
  if (size >= 0 && size != dim.value())
    fail(ErrorCode::kInvalidModel, "{} is {} in one operand and {} in another", what, size, dim.value());
  size = dim.value();
}

const ir::Dims* matrix_dims(const ir::Type& type, std::string_view what) {
  if (!type.dims) return nullptr;
  if (type.rank() != 2) fail(ErrorCode::kInvalidModel, "{} has rank {}, not 2", what, type.rank());
  return &*type.dims;
}

/// C has to be broadcastable to [M, N], not the other way round.
void check_c(const GemmView& view, const ir::Type& c, bool broadcasts) {
  if (!c.dims) return;
  if (c.rank() > 2 || (!broadcasts && c.rank() != 2)) fail(ErrorCode::kInvalidModel, "C has rank {}", c.rank());
  const std::array<int64_t, 2> sizes{view.m, view.n};
  for (size_t i = 0; i < c.dims->size(); ++i) {
    const ir::Dim& dim = (*c.dims)[c.dims->size() - 1 - i];
    const int64_t size = sizes[1 - i];
    if (!dim.known() || size < 0 || dim.value() == size || (dim.value() == 1 && broadcasts)) continue;
    fail(ErrorCode::kInvalidModel, "C {} can't be broadcast to [{}, {}]", to_string(c), view.m, view.n);
  }
}

std::vector<ir::Type> infer_gemm(const InferContext& context) {
  context.check_inputs(context.opset >= kOptionalC ? 2 : 3, 3);
  if (context.node.outputs.size() != 1)
    fail(ErrorCode::kInvalidModel, "{} outputs, not 1", context.node.outputs.size());
  const GemmView view = GemmView::of(context.graph, context.node);
  const auto dim = [&](const ir::Type& type, size_t axis, int64_t size) {
    if (type.dims) return (*type.dims)[axis];
    return size >= 0 ? ir::Dim(size) : ir::Dim{};
  };
  return {ir::Type::tensor(common_dtype(context.graph, context.node),
                           ir::Dims{dim(context.type(0), view.trans_a ? 1 : 0, view.m),
                                    dim(context.type(1), view.trans_b ? 0 : 1, view.n)})};
}

std::vector<ir::Type> infer_matmul(const InferContext& context) {
  context.check_inputs(2, 2);
  if (context.node.outputs.size() != 1)
    fail(ErrorCode::kInvalidModel, "{} outputs, not 1", context.node.outputs.size());
  return {ir::Type::tensor(common_dtype(context.graph, context.node),
                           matmul_dims(context.type(0).dims, context.type(1).dims))};
}

}  // namespace

GemmView GemmView::of(const ir::Graph& graph, const ir::Node& node) {
  GemmView view{.a = node.input(0), .b = node.input(1), .c = node.input(2)};
  if (!view.a || !view.b) fail(ErrorCode::kInvalidModel, "{} is missing", view.a ? "B" : "A");
  view.trans_a = node.int_or("transA", 0) != 0;
  view.trans_b = node.int_or("transB", 0) != 0;
  view.alpha = node.float_or("alpha", 1);
  view.beta = node.float_or("beta", 1);
  (void)common_dtype(graph, node);
  if (const ir::Dims* a = matrix_dims(graph.type(view.a), "A")) {
    agree(view.m, (*a)[view.trans_a ? 1 : 0], "M");
    agree(view.k, (*a)[view.trans_a ? 0 : 1], "K");
  }
  if (const ir::Dims* b = matrix_dims(graph.type(view.b), "B")) {
    agree(view.k, (*b)[view.trans_b ? 1 : 0], "K");
    agree(view.n, (*b)[view.trans_b ? 0 : 1], "N");
  }
  const bool broadcasts = graph.opset("") >= kNumpyBroadcasting || node.int_or("broadcast", 0) != 0;
  if (view.c) check_c(view, graph.type(view.c), broadcasts);
  return view;
}

ir::NodeSpec GemmView::with_weights(const ir::Graph& graph, const ir::Node& node, ir::ValueId new_b,
                                    ir::ValueId new_c) const {
  ir::NodeSpec spec = ir::spec_like(node);
  spec.inputs = {a, new_b};
  const bool needs_c = graph.opset("") < kOptionalC;
  if (!new_c && c && needs_c) spec.inputs.push_back(c);
  if (!new_c) return spec;
  spec.inputs.push_back(new_c);
  std::erase_if(spec.attributes, [](const ir::Attribute& attribute) {
    return attribute.name == "beta" || attribute.name == "broadcast";
  });
  if (graph.opset("") < kNumpyBroadcasting) spec.attributes.push_back({"broadcast", int64_t{1}, {}});
  return spec;
}

std::optional<ir::Dims> matmul_dims(const std::optional<ir::Dims>& a, const std::optional<ir::Dims>& b) {
  if ((a && a->empty()) || (b && b->empty())) fail(ErrorCode::kInvalidModel, "an operand is a scalar");
  if (a && b) {
    const ir::Dim& left = a->back();
    const ir::Dim& right = b->size() == 1 ? b->back() : (*b)[b->size() - 2];
    if (left.known() && right.known() && left.value() != right.value())
      fail(ErrorCode::kInvalidModel, "{} columns times {} rows", left.value(), right.value());
  }
  if (!a || !b) return std::nullopt;
  const auto batch = [](const ir::Dims& dims) {
    return ir::Dims(dims.begin(), dims.end() - static_cast<std::ptrdiff_t>(std::min<size_t>(dims.size(), 2)));
  };
  ir::Dims dims = *broadcast(batch(*a), batch(*b));
  if (a->size() > 1) dims.push_back((*a)[a->size() - 2]);
  if (b->size() > 1) dims.push_back(b->back());
  return dims;
}

Family matmul_family() {
  static constexpr std::array<Operator, 2> kOperators{{
      {.type = "Gemm",
       .since = 1,
       .until = kNewestOpset,
       .types = kF32 | kF64,
       .infer = infer_gemm,
       .prepare = prepare_gemm,
       .epilogues = kTakesActivation,
       .absorbed_inputs = 0b10},
      {.type = "MatMul",
       .since = 1,
       .until = kNewestOpset,
       .types = kF32 | kF64,
       .infer = infer_matmul,
       .prepare = prepare_matmul,
       .epilogues = kTakesActivation | kTakesRow,
       .absorbed_inputs = 0b10},
  }};
  return kOperators;
}

}  // namespace pli::ops
