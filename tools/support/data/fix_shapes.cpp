#include "tools/support/data/fix_shapes.h"

#include "runtime/core/error.h"
#include "runtime/ir/graph.h"

namespace pli::tools {

namespace {

using Symbols = std::map<std::string, int64_t>;

ir::Type with_numbers(ir::Type type, const Symbols& symbols) {
  if (!type.dims) return type;
  for (ir::Dim& dim : *type.dims)
    if (dim.symbolic() && symbols.contains(dim.symbol())) dim = symbols.at(dim.symbol());
  return type;
}

}  // namespace

Model fix_shapes(const Model& model, const InputOptions& options) {
  if (options.shapes.empty() && options.dims.empty()) return model;
  const InputMaker inputs(model, {{}, options.shapes, options.dims});
  if (!inputs.contradiction().empty()) fail(ErrorCode::kInvalidArgument, "{}", inputs.contradiction());
  auto fixed = std::make_shared<ir::Model>(*model.ir());
  ir::Graph& graph = fixed->graph;
  for (const auto& [name, shape] : inputs.shapes_given()) {
    const ir::ValueId id = graph.find(name);
    graph.set_type(id, ir::Type::tensor(graph.type(id).dtype, ir::Dims(shape.begin(), shape.end())));
  }
  for (int32_t i = 0; i < static_cast<int32_t>(graph.value_limit()); ++i)
    if (const ir::ValueId id{i}; graph.alive(id)) graph.set_type(id, with_numbers(graph.type(id), inputs.symbols()));
  for (const ir::ValueId id : graph.inputs())
    if (const auto shape = graph.type(id).shape()) check_input_size(graph.name(id), graph.type(id).dtype, *shape);
  for (size_t i = 0; i < graph.outputs().size(); ++i)
    graph.set_output_type(i, with_numbers(graph.outputs()[i].type, inputs.symbols()));
  return Model(std::move(fixed));
}

}  // namespace pli::tools
