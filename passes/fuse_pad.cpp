#include "passes/pass.h"
#include "passes/replace_node.h"
#include "runtime/ops/linear/convolution.h"
#include "runtime/ops/movement/pad.h"

#include <algorithm>

namespace pli::passes {

namespace {

/// The pads of both together: those in front of each spatial dimension, then those behind.
std::optional<Shape> pads_together(const ir::Graph& graph, const ops::Window& window, const ir::Node& pad) {
  using AutoPad = ops::Window::AutoPad;
  const auto rank = static_cast<int64_t>(window.rank()) + 2;
  if (window.auto_pad != AutoPad::kNotSet && window.auto_pad != AutoPad::kValid) return std::nullopt;
  if (graph.type(pad.inputs[0]).rank() != rank || ops::PadView::number(graph, pad) != 0.0) return std::nullopt;
  const auto view = ops::PadView::of(graph, pad, rank);
  if (!view || view->mode != ops::PadView::Mode::kConstant) return std::nullopt;
  const auto negative = [](int64_t count) { return count < 0; };
  if (std::ranges::any_of(view->begin, negative) || std::ranges::any_of(view->end, negative)) return std::nullopt;
  Shape pads;
  for (const auto& [own, added] :
       {std::pair(&window.pads_begin, &view->begin), std::pair(&window.pads_end, &view->end)}) {
    if ((*added)[0] != 0 || (*added)[1] != 0) return std::nullopt;
    for (size_t i = 0; i < window.rank(); ++i) {
      const auto sum = checked_add((*own)[i], (*added)[i + 2]);
      if (!sum) return std::nullopt;
      pads.push_back(*sum);
    }
  }
  return pads;
}

}  // namespace

/// Pad with zeros -> Conv   =>   Conv that pads
///
/// where only spatial dimensions are padded and nobody else reads what the Pad gives.
int64_t fuse_pad(Context& context) {
  ir::Graph& graph = context.graph;
  int64_t changes = 0;
  for (const ir::NodeId id : graph.nodes()) {
    if (!graph.alive(id) || context.broken.contains(id) || !graph.node(id).is("Conv")) continue;
    const ir::Node& node = graph.node(id);
    const ir::NodeId maker = context.only_maker(node.inputs[0]);
    const ir::Node* pad = maker ? &graph.node(maker) : nullptr;
    const auto window = pad && pad->is("Pad") ? ops::ConvView::of(graph, node).window : std::nullopt;
    auto pads = window ? pads_together(graph, *window, *pad) : std::nullopt;
    if (!pads) continue;
    ir::NodeSpec spec = ir::spec_like(node);
    spec.inputs[0] = pad->inputs[0];
    std::erase_if(spec.attributes, [](const ir::Attribute& attribute) {
      return attribute.name == "pads" || attribute.name == "auto_pad";
    });
    spec.attributes.push_back({"pads", std::move(*pads), {}});
    (void)replace_node(graph, id, std::move(spec));
    ++changes;
  }
  return changes;
}

}  // namespace pli::passes
