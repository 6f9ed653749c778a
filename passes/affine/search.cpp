#include "passes/affine/search.h"

#include "passes/affine/obstacles.h"

namespace pli::passes {

bool Search::look(const Affine& affine) {
  if (++visited_ > context_.options.limits.folded_path)
    return refuse(code::kSearchLimit,
                  fmt::format("what could take it up is more than {} nodes away", context_.options.limits.folded_path));
  return work(static_cast<int64_t>(affine.scale().size()), 64);
}

/// Takes what looking at `count` numbers costs from what all folds of a model may cost.
bool Search::work(int64_t count, int64_t each) {
  context_.budget.work -= checked_mul(count, each).value_or(INT64_MAX / 2);
  return context_.budget.work >= 0 ||
         refuse(code::kSearchLimit, "looking for what could take it up has taken as much work as the limits allow");
}

/// The node where it is affine in x, and may go.
std::optional<AffineNode> Search::affine_node(ir::NodeId id, ir::ValueId x) {
  Refusal ignored;
  const ir::Node& node = graph_.node(id);
  if ((!is_arithmetic(node) && !node.is("BatchNormalization")) || context_.log.kept_by_user(id)) return std::nullopt;
  auto affine = read_affine(context_, id, ignored);
  return affine && (!x || affine->x == x) ? affine : std::nullopt;
}

/// Into float16 only what comes from there or goes there in any case: other numbers could leave its range.
bool Search::keeps_range(const ir::Node& node, Way way) {
  const auto is_half_value = [&](ir::ValueId value) { return graph_.type(value).dtype == DataType::kFloat16; };
  const ir::ValueId beyond = way == Way::kBack ? node.inputs[0] : node.outputs[0];
  if (!is_half_value(beyond)) return true;
  const auto is_cast = [&](ir::NodeId id) { return graph_.node(id).is("Cast") || graph_.node(id).is("CastLike"); };
  bool stays = true;
  if (way == Way::kBack) {
    stays = !graph_.is_output(seed_.y);
    for (const ir::Use& use : graph_.uses(seed_.y))
      stays = stays && is_cast(use.node) && is_half_value(graph_.node(use.node).outputs[0]);
  } else {
    const ir::NodeId producer = graph_.producer(seed_.x);
    stays = producer && is_cast(producer) && is_half_value(graph_.node(producer).inputs[0]);
  }
  return stays || refuse(code::kNonFinite,
                         fmt::format("numbers could leave the range of float16 at {}", ir::describe(graph_, node)));
}

bool Search::carry_on(const Carried& carried, ir::NodeId id, Way way) {
  const ir::Node& node = graph_.node(id);
  if (node.is("Cast") || node.is("CastLike")) {
    ++plan_.casts;
    if (!keeps_range(node, way)) return false;
  }
  for (const auto& [input, numbers] : carried.operands) {
    const auto shape = graph_.constant_of(node.inputs[input])->shape();
    plan_.operands.push_back({{id, static_cast<int>(input)}, Shape(shape.begin(), shape.end()), numbers});
  }
  for (const auto& [place, affine] : carried.places) {
    if (way == Way::kBack) {
      if (!back({id, static_cast<int>(place)}, affine)) return false;
    } else if (node.outputs[place] && !forth(node.outputs[place], affine)) {
      return false;
    }
  }
  return true;
}

bool Search::back(ir::Use use, const Affine& affine) {
  if (affine.is_identity()) return true;
  const ir::ValueId value = graph_.node(use.node).inputs[static_cast<size_t>(use.index)];
  if (!look(affine)) return false;
  if (const Tensor* constant = graph_.constant_of(value)) {
    if (!is_float(constant->dtype())) return refuse(code::kDataType, "a constant that it reaches is no float");
    Operand operand{use, Shape(constant->shape().begin(), constant->shape().end()), context_.exact_numbers(value)};
    for_each_position(operand.shape, [&](std::span<const int64_t> position, int64_t flat) {
      const auto at = static_cast<size_t>(broadcast_index(affine.shape(), position));
      double& number = operand.numbers[static_cast<size_t>(flat)];
      number = affine.scale()[at] * number + affine.shift()[at];
    });
    plan_.operands.push_back(std::move(operand));
    return true;
  }
  const ir::NodeId producer = graph_.producer(value);
  if (!producer) {
    stands_before(graph_, use, seed_.node, "", why_);
    return false;
  }
  if (!is_sound(context_, producer, why_)) return false;
  const ir::Node& node = graph_.node(producer);
  auto own = affine_node(producer, {});
  if (own && own->y != value) own.reset();
  const bool absorbs = !own && absorber_of(node) && value == node.outputs[0];
  if (!own && !absorbs && !may_carry(node)) {
    stands_before(graph_, use, seed_.node, "", why_);
    return false;
  }
  met_taker_ = met_taker_ || absorbs;
  if (!used_only_by(graph_, value, use.node, why_)) return false;
  if (!touch(producer)) return refuse(code::kOtherConsumer, "it would reach the same node twice");

  if (own) {
    const auto joined = own->affine.then(affine);
    if (!joined) return refuse(code::kTooLarge, "joined with " + ir::describe(graph_, node) + " it would be too large");
    const Mark before = mark();
    plan_.removals.push_back({*own, Way::kBack});
    if (back({producer, static_cast<int>(own->operand)}, *joined) && !could_be_one_node(before.merges, *own, *joined))
      return true;
    return_to(before);
    plan_.merges.emplace_back(*own, *joined);
    return true;
  }
  if (absorbs) {
    auto absorption = absorb_behind(context_, producer, affine, why_);
    if (!absorption) return false;
    plan_.absorptions.push_back({std::move(*absorption), use.node});
    return true;
  }
  std::string condition;
  const auto port = static_cast<size_t>(std::ranges::find(node.outputs, value) - node.outputs.begin());
  const auto carried = carry({graph_, node, Way::kBack, port}, affine, condition);
  if (!carried) {
    stands_before(graph_, use, seed_.node, condition, why_);
    return false;
  }
  return carry_on(*carried, producer, Way::kBack);
}

bool Search::forth(ir::ValueId value, const Affine& affine) {
  if (affine.is_identity()) return true;
  if (graph_.is_output(value))
    return refuse(code::kGraphOutput, fmt::format("\"{}\" is an output of the model", graph_.name(value)));
  if (graph_.is_pinned(value))
    return refuse(code::kPinned,
                  fmt::format("a quantization annotation or a training graph refers to \"{}\"", graph_.name(value)));
  for (const ir::Use& use : graph_.uses(value))
    if (!reads_only_type(graph_, use) && !forth_into(use, affine)) return false;
  return true;
}

bool Search::forth_into(ir::Use use, const Affine& affine) {
  const ir::NodeId id = use.node;
  const ir::Node& node = graph_.node(id);
  const std::string name = ir::describe(graph_, node);
  if (!look(affine) || !is_sound(context_, id, why_)) return false;
  if (use.index < 0) return refuse(code::kOtherConsumer, fmt::format("a graph nested in {} reads it", name));
  if (!touch(id)) return refuse(code::kOtherConsumer, fmt::format("{} reads it twice", name));
  const auto input = static_cast<size_t>(use.index);

  if (const auto own = affine_node(id, node.inputs[input])) {
    const auto joined = affine.then(own->affine);
    if (!joined) return refuse(code::kTooLarge, "joined with " + name + " it would be too large");
    const Mark before = mark();
    plan_.removals.push_back({*own, Way::kForth});
    if (forth(own->y, *joined)) return true;
    return_to(before);
    plan_.merges.emplace_back(*own, *joined);
    return true;
  }
  if (absorber_of(node)) {
    met_taker_ = true;
    int64_t elements = 0;  // of the weight, which a shift is multiplied with
    for (const ir::ValueId operand : node.inputs)
      if (const Tensor* constant = operand && affine.shifts() ? graph_.constant_of(operand) : nullptr)
        elements += static_cast<int64_t>(constant->size());
    if (!work(elements, 4)) return false;
    auto absorption = absorb_in_front(context_, id, input, affine, why_);
    if (!absorption) return false;
    plan_.absorptions.push_back({std::move(*absorption), {}});
    const size_t index = plan_.absorptions.size() - 1;
    if (!plan_.absorptions[index].absorption.rest) return true;
    const Mark before = mark();
    if (forth(node.outputs[0], Affine(*plan_.absorptions[index].absorption.rest)))
      plan_.absorptions[index].absorption.rest.reset();
    else
      return_to(before);
    return true;
  }
  std::string condition = "it is no operator that would let it through";
  const auto carried = carry({graph_, node, Way::kForth, input}, affine, condition);
  if (!carried) {
    met_taker_ = met_taker_ || may_carry(node);
    return refuse(code::kNoLinearNeighbour, fmt::format("{} follows: {}", name, condition));
  }
  return carry_on(*carried, id, Way::kForth);
}

bool Search::improves() const {
  int64_t left = 0, norms_left = 0, norms = 0;
  const auto is_norm = [&](const AffineNode& affine) { return graph_.node(affine.node).is("BatchNormalization"); };
  for (const Removal& removal : plan_.removals) norms += is_norm(removal.affine);
  for (const PlannedAbsorption& planned : plan_.absorptions)
    if (planned.absorption.rest) left += nodes_of(*planned.absorption.rest);
  for (const auto& [affine, joined] : plan_.merges) {
    const bool one_node = is_norm(affine) && fits_batch_norm(graph_, affine, joined);
    norms += is_norm(affine);
    norms_left += one_node;
    left += one_node ? 1 : nodes_of(joined);
  }
  const auto before = static_cast<int64_t>(plan_.removals.size() + plan_.merges.size());
  return left < before || (left == before && norms_left < norms && plan_.merges.empty());
}

}  // namespace pli::passes
