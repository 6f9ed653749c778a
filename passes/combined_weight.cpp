#include "passes/combined_weight.h"

#include "passes/narrow_weight.h"
#include "passes/quantized_weight.h"
#include "runtime/core/tensor.h"

#include <algorithm>

namespace pli::passes {

bool may_be_combined(const ir::Graph& graph, ir::ValueId weight, ir::ValueId bias) {
  const auto fits = [&](ir::ValueId constant) {
    const Tensor* tensor = graph.constant_of(constant);
    return tensor && !graph.is_pinned(constant) && is_float(tensor->dtype());
  };
  return fits(weight) && (!bias || fits(bias)) && !is_quantized(graph, weight);
}

std::optional<Constants> store(Context& context, const Combined& combined, const Constants& old, bool stays) {
  const ir::Graph& graph = context.graph;
  const DataType dtype = graph.type(old.weight).dtype;
  ScaledWeight scaled(from_doubles(DataType::kFloat64, combined.shape, combined.weight), context.folded_type(dtype));
  Folded weight = scaled.rounded();
  Folded bias = rounded(context.folded_type(dtype), {static_cast<int64_t>(combined.bias.size())}, combined.bias);
  if (!weight.tensor || !bias.tensor) return std::nullopt;
  const auto bytes = static_cast<int64_t>(weight.tensor->bytes().size());
  const int64_t growth = stays ? bytes : 0;
  if (growth > context.budget.bytes) return std::nullopt;
  context.budget.bytes -= growth;
  if (const auto narrow = narrow_weight(graph, old.weight))
    context.widened_bytes += bytes - static_cast<int64_t>(graph.constant_of(narrow->stored)->bytes().size());
  context.subnormals_cleared += weight.cleared + bias.cleared;
  Constants made{context.names.replace(old.weight, std::move(*weight.tensor)), {}};
  if (!combined.bias.empty()) {
    made.bias = old.bias
                    ? context.names.replace(old.bias, std::move(*bias.tensor))
                    : context.names.add(bias_name(context.names.of(made.weight)), std::move(*bias.tensor), made.weight);
    context.exact.insert_or_assign(context.typed(made.bias, dtype), combined.bias);
  }
  context.scaled.insert_or_assign(context.typed(made.weight, dtype), std::move(scaled));
  return made;
}

}  // namespace pli::passes
