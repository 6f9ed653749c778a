#include "passes/equal_dims.h"
#include "passes/pass.h"
#include "passes/replace_node.h"

namespace pli::passes {

namespace {

/// Gemm takes float operands of two dimensions and stretches C to the result, in these versions without attributes.
constexpr int64_t kGemmBroadcasts = 7;

bool is_matrix(const ir::Graph& graph, ir::ValueId value) {
  return value && graph.type(value).rank() == 2 && is_float(graph.type(value).dtype);
}

/// C of dimensions [N], [1, N], [M, N], ... that are known to stretch to those of the result without it.
bool stretches_to(const ir::Type& c, const ir::Type& result) {
  if (!c.dims || !result.dims || c.dims->size() > result.dims->size()) return false;
  for (size_t i = 0; i < c.dims->size(); ++i) {
    const ir::Dim& own = (*c.dims)[c.dims->size() - 1 - i];
    const ir::Dim& wanted = (*result.dims)[result.dims->size() - 1 - i];
    if (!(own.known() && own.value() == 1) && !are_equal(own, wanted)) return false;
  }
  return true;
}

}  // namespace

/// MatMul, Add   =>   Gemm
///
/// of matrices, where nobody else reads the product and what is added does not make it larger.
int64_t fuse_matmul_add(Context& context) {
  ir::Graph& graph = context.graph;
  int64_t changes = 0;
  if (graph.opset("") < kGemmBroadcasts) return 0;
  for (const ir::NodeId id : graph.nodes()) {
    if (!graph.alive(id) || context.stays(id) || !graph.node(id).is("Add")) continue;
    const ir::Node& add = graph.node(id);
    for (const size_t side : {0, 1}) {
      const ir::ValueId product = add.input(side), c = add.input(1 - side);
      const ir::NodeId maker = context.only_maker(product);
      if (!maker || !c || !graph.node(maker).is("MatMul")) continue;
      const ir::Node& matmul = graph.node(maker);
      if (!is_matrix(graph, matmul.inputs[0]) || !is_matrix(graph, matmul.inputs[1])) continue;
      if (!stretches_to(graph.type(c), graph.type(product))) continue;
      ir::NodeSpec spec{.op_type = "Gemm", .name = matmul.name, .inputs = {matmul.inputs[0], matmul.inputs[1], c}};
      (void)replace_node(graph, id, std::move(spec));
      ++changes;
      break;
    }
  }
  return changes;
}

}  // namespace pli::passes
