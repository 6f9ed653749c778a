#include "tools/support/reports/cost.h"

#include "runtime/core/checked.h"
#include "runtime/core/tensor.h"
#include "runtime/ops/linear/convolution.h"
#include "runtime/ops/linear/matmul.h"

namespace pli::tools {

namespace {

std::optional<int64_t> product(std::optional<int64_t> a, std::optional<int64_t> b) {
  return a && b ? checked_mul(*a, *b) : std::nullopt;
}

std::optional<int64_t> elements(const ir::Graph& graph, ir::ValueId id) {
  const auto shape = id ? graph.type(id).shape() : std::nullopt;
  return shape ? checked_size(*shape) : std::nullopt;
}

/// Multiplications: every weight element meets every position of the smaller side once, for a Conv the output's, for a
/// ConvTranspose the input's.
std::optional<int64_t> convolution_products(const ir::Graph& graph, const ir::Node& node) {
  const ops::ConvView view = ops::ConvView::of(graph, node);
  const auto shape = graph.type(view.transposed ? view.x : node.output(0)).shape();
  if (!shape || shape->size() < 2) return std::nullopt;
  Shape positions = *shape;
  positions[1] = 1;
  return product(checked_size(positions), elements(graph, view.weight));
}

std::optional<int64_t> matmul_products(const ir::Graph& graph, const ir::Node& node) {
  const auto a = graph.type(node.input(0)).shape();
  if (!a || a->empty()) return std::nullopt;
  return product(elements(graph, node.output(0)), a->back());
}

std::optional<int64_t> gemm_products(const ir::Graph& graph, const ir::Node& node) {
  const ops::GemmView view = ops::GemmView::of(graph, node);
  if (view.k < 0) return std::nullopt;
  return product(elements(graph, node.output(0)), view.k);
}

std::optional<int64_t> bytes_of(const ir::Graph& graph, ir::ValueId id) {
  const auto shape = graph.type(id).shape();
  return shape ? packed_bytes(graph.type(id).dtype, *shape) : std::nullopt;
}

}  // namespace

NodeCost cost_of(const ir::Graph& graph, const ir::Node& node) {
  NodeCost cost{0, 0};
  if (node.is("Conv") || node.is("ConvTranspose"))
    cost.flops = product(convolution_products(graph, node), 2);
  else if (node.is("Gemm"))
    cost.flops = product(gemm_products(graph, node), 2);
  else if (node.is("MatMul") && node.input(0))
    cost.flops = product(matmul_products(graph, node), 2);

  for (const auto* values : {&node.inputs, &node.outputs})
    for (const ir::ValueId id : *values) {
      if (!id || !cost.bytes) continue;
      const auto bytes = bytes_of(graph, id);
      cost.bytes = bytes ? checked_add(*cost.bytes, *bytes) : std::nullopt;
    }
  return cost;
}

}  // namespace pli::tools
