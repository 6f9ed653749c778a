#include "passes/affine/write_affine.h"

#include "passes/replace_node.h"

#include "runtime/ops/normalization/batch_normalization.h"

#include <algorithm>
#include <array>

namespace pli::passes {

namespace {

/// How the numbers of an affine are written for an Add or Mul.
struct Layout {
  Shape shape;
  std::optional<int64_t> axis;  // before opset 7: where they stand
};

/// Without the leading ones; before opset 7 without those at the end either, along dimensions that follow each other.
std::optional<Layout> layout_of(const ir::Graph& graph, const ir::Type& type, const Affine& affine) {
  const Shape& shape = affine.shape();
  const auto varies = [](int64_t dim) { return dim != 1; };
  const auto first = std::ranges::find_if(shape, varies);
  if (first == shape.end()) return Layout{{1}, {}};
  if (graph.opset("") >= ops::kNumpyBroadcasting) return Layout{Shape(first, shape.end()), {}};
  const auto last = std::find_if(shape.rbegin(), shape.rend(), varies).base();
  Layout layout{Shape(first, last), first - shape.begin()};
  for (size_t i = 0; i < layout.shape.size(); ++i) {
    const ir::Dim& dim = (*type.dims)[static_cast<size_t>(*layout.axis) + i];
    if (!(dim == ir::Dim(layout.shape[i]))) return std::nullopt;
  }
  return layout;
}

ir::NodeSpec spec_of(const ir::Graph& graph, std::string_view op_type, ir::ValueId x, ir::ValueId constant,
                     const Layout& layout) {
  ir::NodeSpec spec{.op_type = std::string(op_type), .inputs = {x, constant}};
  if (graph.opset("") >= ops::kNumpyBroadcasting) return spec;
  spec.attributes.push_back({"broadcast", int64_t{1}, {}});
  const bool at_the_end =
      layout.axis && *layout.axis + static_cast<int64_t>(layout.shape.size()) == graph.type(x).rank();
  if (layout.axis && !at_the_end) spec.attributes.push_back({"axis", *layout.axis, {}});
  return spec;
}

}  // namespace

int64_t nodes_of(const Affine& affine) { return int64_t{affine.scales()} + int64_t{affine.shifts()}; }

bool can_write(const Context& context, const ir::Type& type, const Affine& affine) {
  if (affine.is_identity()) return true;
  if (!type.has_rank() || !is_float(type.dtype)) return false;
  const DataType dtype = context.folded_type(type.dtype);
  for (const Affine& part : {affine.scale_alone(), affine.shift_alone()})
    if (!layout_of(context.graph, type, part) || !rounded(dtype, part.shape(), part.scale()).tensor ||
        !rounded(dtype, part.shape(), part.shift()).tensor)
      return false;
  return true;
}

bool fits_batch_norm(const ir::Graph& graph, const AffineNode& node, const Affine& affine) {
  const ir::Type& type = graph.type(graph.node(node.node).inputs[node.operand]);  // it may be another by now
  if (nodes_of(affine) < 2 || affine.rank() < 2 || !affine.varies_along_at_most(1)) return false;
  return !affine.constant_along(1) || (*type.dims)[1].known();
}

ir::ValueId write_affine(Context& context, const Affine& affine, ir::ValueId x, ir::NodeId place, const Written& as) {
  ir::Graph& graph = context.graph;
  const ir::Type type = graph.type(x);
  const ir::Node like = graph.node(as.like);
  ir::ValueId value = x;
  const auto add = [&](std::string_view op_type, const Affine& part, const std::vector<double>& numbers,
                       const std::string& name, bool last) {
    const Layout layout = *layout_of(graph, type, part);
    const Folded folded = rounded(context.folded_type(type.dtype), layout.shape, numbers);
    const ir::ValueId constant = as.constant ? context.names.replace(as.constant, *folded.tensor)
                                             : context.names.add(name, *folded.tensor, as.origin);
    context.exact.insert_or_assign(context.typed(constant, type.dtype), numbers);
    ir::NodeSpec spec = spec_of(graph, op_type, value, constant, layout);
    if (last) {
      spec.name = as.node_name;
      spec.extra = like.extra;
    }
    const ir::ValueRecord& old = graph.value(like.outputs[0]);
    spec.outputs = {{graph.unique_name(old.name), type, old.extra}};
    value = graph.node(graph.add_node(std::move(spec), place)).outputs[0];
  };
  if (affine.scales()) {
    const Affine scale = affine.scale_alone();
    add("Mul", scale, scale.scale(), as.constant_name + "_scale", !affine.shifts());
  }
  if (affine.shifts()) {
    const Affine shift = affine.shift_alone();
    add("Add", shift, shift.shift(), as.constant_name, true);
  }
  return value;
}

ir::NodeId write_batch_norm(Context& context, ir::NodeId id, const Affine& affine) {
  ir::Graph& graph = context.graph;
  const ir::Node node = graph.node(id);
  const auto view = ops::BatchNormView::of(graph, node);
  const int64_t channels = affine.constant_along(1) ? (*graph.type(view.x).dims)[1].value() : affine.shape()[1];
  const auto spread = [&](const std::vector<double>& numbers) {
    return numbers.size() == 1 ? std::vector<double>(static_cast<size_t>(channels), numbers[0]) : numbers;
  };
  const std::array<std::pair<ir::ValueId, std::vector<double>>, 4> statistics{{{view.scale, spread(affine.scale())},
                                                                               {view.bias, spread(affine.shift())},
                                                                               {view.mean, spread({0.0})},
                                                                               {view.variance, spread({1.0})}}};
  ir::NodeSpec spec = ir::spec_like(node);
  spec.inputs = {view.x};
  for (const auto& [old, numbers] : statistics) {
    const DataType dtype = graph.type(old).dtype;
    const Folded folded = rounded(context.folded_type(dtype), {channels}, numbers);
    spec.inputs.push_back(context.typed(context.names.replace(old, *folded.tensor), dtype));
  }
  std::erase_if(spec.attributes, [](const ir::Attribute& attribute) {
    return attribute.name == "epsilon" || attribute.name == "spatial";
  });
  spec.attributes.push_back({"epsilon", 0.0f, {}});
  return replace_node(graph, id, std::move(spec));
}

}  // namespace pli::passes
