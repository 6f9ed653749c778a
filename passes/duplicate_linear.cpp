#include "passes/affine/absorb.h"
#include "passes/pass.h"
#include "passes/replace_node.h"

namespace pli::passes {

namespace {

/// A BatchNormalization that has a product of its own, for now.
struct Copy {
  ir::NodeId batch_norm;
  ir::ValueId original, copy;  // results of the product
};

/// What the BatchNormalization reads, where a product makes it that could take it up, were it not that others read it.
ir::ValueId shared_product(const Context& context, ir::NodeId id) {
  const ir::Graph& graph = context.graph;
  Refusal ignored;
  const auto seed = read_batch_norm(context, id, ignored);
  if (!seed || graph.has_single_use(seed->x) || graph.is_pinned(seed->x)) return {};
  const ir::NodeId maker = graph.producer(seed->x);
  if (!maker || context.broken.contains(maker)) return {};
  const ir::Node& node = graph.node(maker);
  if (!node.is("Conv") && !node.is("ConvTranspose") && !node.is("Gemm") && !node.is("MatMul")) return {};
  return absorb_behind(context, maker, seed->affine, ignored) ? seed->x : ir::ValueId{};
}

/// The BatchNormalization with another operand.
ir::NodeId with_operand(Context& context, ir::NodeId id, ir::ValueId operand) {
  ir::NodeSpec spec = ir::spec_like(context.graph.node(id));
  spec.inputs[0] = operand;
  const ir::NodeId made = replace_node(context.graph, id, std::move(spec));
  context.log.became(id, made);
  return made;
}

Copy make_copy(Context& context, ir::NodeId id, ir::ValueId product) {
  ir::Graph& graph = context.graph;
  ir::NodeSpec spec = ir::spec_like(graph.node(graph.producer(product)));
  spec.name = graph.node(id).name;  // which goes
  spec.outputs = {{graph.unique_name(graph.name(product)), graph.type(product), {}}};
  const ir::ValueId copy = graph.node(graph.add_node(std::move(spec), id)).outputs[0];
  return {with_operand(context, id, copy), product, copy};
}

}  // namespace

/// Linear -> BatchNormalization and others   =>   Linear -> others, Linear with other weights
///
/// only when the options allow that a product is computed twice. A copy that its BatchNormalization could not be folded
/// into after all goes again.
int64_t duplicate_linear(Context& context) {
  if (!context.options.allow_duplication) return 0;
  ir::Graph& graph = context.graph;
  std::vector<Copy> copies;
  for (const ir::NodeId id : graph.nodes()) {
    if (!graph.node(id).is("BatchNormalization") || context.stays(id)) continue;
    if (const ir::ValueId product = shared_product(context, id)) copies.push_back(make_copy(context, id, product));
  }
  const int64_t changes = copies.empty() ? 0 : fold_batch_norm(context);
  for (const Copy& copy : copies) {
    if (!graph.alive(copy.batch_norm)) continue;
    (void)with_operand(context, copy.batch_norm, copy.original);
    graph.erase_node(graph.producer(copy.copy));
  }
  return changes;
}

}  // namespace pli::passes
