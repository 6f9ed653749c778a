#include "passes/affine/move_affine.h"

#include "passes/affine/absorb.h"
#include "passes/affine/carry.h"
#include "passes/affine/write_affine.h"
#include "passes/narrow_weight.h"
#include "passes/replace_node.h"

#include <algorithm>
#include <array>

namespace pli::passes {

namespace {

/// Whether the node keeps to the standard: what does not has no meaning that a fold could keep.
bool is_sound(const Context& context, ir::NodeId id, Refusal& why) {
  const auto broken = context.broken.find(id);
  if (broken == context.broken.end()) return true;
  why.because(code::kBrokenNode, "{} breaks the standard: {}", ir::describe(context.graph, context.graph.node(id)),
              broken->second);
  return false;
}

/// Nothing but `user` may see the value: what it holds is going to change.
bool used_only_by(const ir::Graph& graph, ir::ValueId value, ir::NodeId user, Refusal& why) {
  const auto refuse = [&](std::string_view code, const std::string& reason) {
    why.because(code, "{}", reason);
    return false;
  };
  const std::string result =
      fmt::format("the result \"{}\" of {}", graph.name(value), ir::describe(graph, graph.node(graph.producer(value))));
  if (graph.is_output(value)) return refuse(code::kGraphOutput, result + " is an output of the model");
  for (const ir::Use& use : graph.uses(value)) {
    if (use.node == user && use == *graph.uses(value).begin()) continue;
    return refuse(code::kOtherConsumer,
                  fmt::format("{} is used by {} too", result, ir::describe(graph, graph.node(use.node))));
  }
  if (!graph.is_pinned(value)) return true;
  return refuse(code::kPinned,
                fmt::format("a quantization annotation or a training graph refers to \"{}\"", graph.name(value)));
}

// --- words for what stands in the way --------------------------------------------------------------------------------

bool is_nonlinear(const ir::Node& node) {
  // clang-format off
  constexpr std::array kNonlinear{
      "Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "Clip", "Sigmoid", "HardSigmoid",
      "HardSwish", "Tanh", "Softplus", "Softsign", "Gelu", "Mish", "Erf", "Softmax", "LRN", "InstanceNormalization",
      "MaxPool", "LpPool", "GlobalMaxPool"};
  // clang-format on
  return std::ranges::any_of(kNonlinear, [&](const char* type) { return node.is(type); });
}

bool is_linear(const ir::Node& node) {
  return node.is("Conv") || node.is("ConvTranspose") || node.is("Gemm") || node.is("MatMul");
}

struct LinearBefore {
  ir::NodeId linear;       // none: there is none
  bool nonlinear = false;  // what stands between
};

/// The nearest linear node before `node`, along the one path of data through nodes that move it or work element by
/// element.
LinearBefore linear_before(const ir::Graph& graph, const ir::Node& node) {
  constexpr int kMostSteps = 16;
  LinearBefore result;
  const ir::Node* at = &node;
  for (int step = 0; step < kMostSteps; ++step) {
    const bool nonlinear = is_nonlinear(*at);
    const bool one_path =
        at->is("BatchNormalization") || (may_carry(*at) && !at->is("Add") && !at->is("Sub") && !at->is("Concat"));
    result.nonlinear = result.nonlinear || nonlinear;
    if ((!nonlinear && !one_path) || !at->input(0)) return {};
    const ir::NodeId producer = graph.producer(at->input(0));
    if (!producer) return {};
    if (is_linear(graph.node(producer))) {
      result.linear = producer;
      return result;
    }
    at = &graph.node(producer);
  }
  return {};
}

/// Why an affine gets no further back than the operand of `use`. `condition`: what the node that makes it says.
void stands_before(const ir::Graph& graph, ir::Use use, ir::NodeId seed, const std::string& condition, Refusal& why) {
  const ir::Node& user = graph.node(use.node);
  const ir::ValueId value = user.inputs[static_cast<size_t>(use.index)];
  const ir::NodeId producer = graph.producer(value);
  const std::string operand = use.node == seed
                                  ? fmt::format("its input \"{}\"", graph.name(value))
                                  : fmt::format("the input \"{}\" of {}", graph.name(value), ir::describe(graph, user));
  if (!producer) {
    why.because(code::kNoLinearNeighbour, "{} {}", operand,
                graph.constant_of(value) ? "is constant" : why_not_constant(graph, value));
    return;
  }
  const ir::Node& node = graph.node(producer);
  const std::string because = (condition.empty() ? "" : ": " + condition) + how_to_mend(node);
  const LinearBefore before = linear_before(graph, node);
  if (before.linear)
    why.because(before.nonlinear ? code::kNonlinearBetween : code::kNodeBetween, "{} stands between {} and it{}",
                ir::describe(graph, node), ir::describe(graph, graph.node(before.linear)), because);
  else
    why.because(code::kNoLinearNeighbour, "{} comes from {}, which has no weights to fold into{}", operand,
                ir::describe(graph, node), because);
}

// --- the plan --------------------------------------------------------------------------------------------------------

struct Removal {
  AffineNode affine;
  Way way;
};

struct PlannedAbsorption {
  Absorption absorption;
  ir::NodeId user;  // back: the node that asked
};

struct Operand {
  ir::Use use;
  Shape shape;
  std::vector<double> numbers;
};

/// Everything that is to be done, in the order in which it was found.
struct Plan {
  std::vector<Removal> removals;
  std::vector<PlannedAbsorption> absorptions;
  std::vector<std::pair<AffineNode, Affine>> merges;  // an affine node that becomes another
  std::vector<Operand> operands;                      // constants that become others
  int64_t casts = 0;
};

class Search {
 public:
  Search(Context& context, const AffineNode& seed) : context_(context), graph_(context.graph), seed_(seed) {}

  /// What makes the operand of `use` is to give affine(of what it gives).
  bool back(ir::Use use, const Affine& affine);
  /// Who reads `value` is to do with it where it had affine(value).
  bool forth(ir::ValueId value, const Affine& affine);
  /// The node is not needed any more.
  void remove(const AffineNode& affine, Way way) {
    touch(affine.node);
    plan_.removals.push_back({affine, way});
  }

  /// Fewer affine nodes are left than there were, or as many and fewer BatchNormalizations.
  bool improves() const;
  const Plan& plan() const { return plan_; }
  const Refusal& why() const { return why_; }
  /// Found somebody with weights, though it may not take the affine up.
  bool met_absorber() const { return met_absorber_; }

 private:
  struct Mark {
    size_t removals, absorptions, merges, operands;
    std::set<ir::NodeId> touched;
  };
  Mark mark() const {
    return {plan_.removals.size(), plan_.absorptions.size(), plan_.merges.size(), plan_.operands.size(), touched_};
  }
  void return_to(const Mark& mark) {
    plan_.removals.erase(plan_.removals.begin() + static_cast<std::ptrdiff_t>(mark.removals), plan_.removals.end());
    plan_.absorptions.resize(mark.absorptions);
    plan_.merges.erase(plan_.merges.begin() + static_cast<std::ptrdiff_t>(mark.merges), plan_.merges.end());
    plan_.operands.resize(mark.operands);
    touched_ = mark.touched;
  }

  /// False when the plan has asked this node before: it could not do both.
  bool touch(ir::NodeId id) { return touched_.insert(id).second; }
  bool look(const Affine& affine);
  bool work(int64_t count, int64_t each);
  bool keeps_range(const ir::Node& node, Way way);
  bool refuse(std::string_view code, const std::string& reason) {
    why_.because(code, "{}", reason);
    return false;
  }
  std::optional<AffineNode> affine_node(ir::NodeId id, ir::ValueId x);
  /// What has been joined since, further on, takes two nodes where this BatchNormalization would be one.
  bool could_be_one_node(size_t merges, const AffineNode& own, const Affine& joined) const {
    if (!graph_.node(own.node).is("BatchNormalization") || !fits_batch_norm(graph_, own, joined)) return false;
    return std::ranges::any_of(plan_.merges.begin() + static_cast<std::ptrdiff_t>(merges), plan_.merges.end(),
                               [&](const auto& merge) { return nodes_of(merge.second) > 1; });
  }
  bool forth_into(ir::Use use, const Affine& affine);
  bool carry_on(const Carried& carried, ir::NodeId id, Way way);

  Context& context_;
  const ir::Graph& graph_;
  const AffineNode& seed_;
  Plan plan_;
  Refusal why_;
  std::set<ir::NodeId> touched_;
  int visited_ = 0;
  bool met_absorber_ = false;
};

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
  met_absorber_ = met_absorber_ || absorbs;
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
    if (!forth_into(use, affine)) return false;
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
    met_absorber_ = true;
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
  if (!carried) return refuse(code::kNoLinearNeighbour, fmt::format("{} follows: {}", name, condition));
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

// --- carrying it out -------------------------------------------------------------------------------------------------

/// The constants of a plan, made before anything is changed.
struct NewConstants {
  std::vector<std::optional<ScaledWeight>> scaled;  // an element for each absorption
  std::vector<std::optional<Tensor>> weights, biases;
  std::vector<Tensor> operands;
  int64_t growth = 0;  // bytes beside those that are replaced
  int64_t cleared = 0;
};

/// It is more numbers than the limits allow, and more than any of the affines has that it is made of.
bool grows(const Context& context, const Affine& affine, const Plan& plan) {
  size_t most = static_cast<size_t>(context.options.limits.folded_bytes) / sizeof(double);
  for (const Removal& removal : plan.removals) most = std::max(most, removal.affine.affine.scale().size());
  for (const auto& [node, joined] : plan.merges) most = std::max(most, node.affine.scale().size());
  return affine.scale().size() > most;
}

std::optional<NewConstants> make_constants(const Context& context, const Plan& plan, Refusal& why) {
  const ir::Graph& graph = context.graph;
  NewConstants made;
  for (const PlannedAbsorption& planned : plan.absorptions) {
    const Absorption& absorption = planned.absorption;
    const std::string name = ir::describe(graph, graph.node(absorption.node));
    made.scaled.emplace_back();
    made.weights.emplace_back();
    made.biases.emplace_back();
    const DataType dtype = context.folded_type(graph.type(absorption.weight).dtype);
    if (absorption.factor) {
      ScaledWeight scaled = context.scaled_weight(absorption.weight);
      scaled.multiply(*absorption.factor);
      const auto bytes = static_cast<int64_t>(scaled.original().bytes().size());
      made.growth += weight_stays(graph, absorption.weight) ? bytes : 0;
      if (made.growth > context.budget.bytes)
        return why.because(code::kTooLarge, "a copy of the weight \"{}\" of {} would make the model too large",
                           graph.name(absorption.weight), name);
      Folded folded = scaled.rounded();
      if (!folded.tensor)
        return why.because(code::kNonFinite, "the folded weight of {} would hold numbers that are not finite", name);
      made.cleared += folded.cleared;
      made.weights.back() = std::move(folded.tensor);
      made.scaled.back() = std::move(scaled);
    }
    if (absorption.new_bias) {
      Folded folded = rounded(dtype, absorption.new_bias->shape, absorption.new_bias->numbers);
      if (!folded.tensor)
        return why.because(code::kNonFinite, "the folded bias of {} would hold numbers that are not finite", name);
      made.cleared += folded.cleared;
      made.biases.back() = std::move(folded.tensor);
    }
    if (absorption.rest && grows(context, *absorption.rest, plan))
      return why.because(code::kTooLarge, "what would be left of it behind {} would be too large", name);
    if (absorption.rest && !can_write(context, graph.type(graph.node(absorption.node).outputs[0]), *absorption.rest))
      return why.because(code::kAxisUnproven, "what would be left of it can't be written in operator set {}",
                         graph.opset(""));
  }
  for (const auto& [affine, joined] : plan.merges)
    if (grows(context, joined, plan) || !can_write(context, graph.type(affine.y), joined))
      return why.because(code::kNonFinite, "joined with {} it would hold numbers that can't be written",
                         ir::describe(graph, graph.node(affine.node)));
  for (const Operand& operand : plan.operands) {
    const ir::Node& node = graph.node(operand.use.node);
    const ir::ValueId old = node.inputs[static_cast<size_t>(operand.use.index)];
    Folded folded = rounded(context.folded_type(graph.type(old).dtype), operand.shape, operand.numbers);
    if (!folded.tensor)
      return why.because(code::kNonFinite, "a constant of {} would hold numbers that are not finite",
                         ir::describe(graph, node));
    const auto bytes = static_cast<int64_t>(folded.tensor->bytes().size());
    if (!graph.has_single_use(old)) made.growth += bytes;
    if (made.growth > context.budget.bytes)
      return why.because(code::kTooLarge, "a copy of \"{}\" would make the model too large", graph.name(old));
    made.cleared += folded.cleared;
    made.operands.push_back(std::move(*folded.tensor));
  }
  return made;
}

/// A new weight in the place of the old one, stored in the type in which that was stored where the rounding allows it.
ir::ValueId replace_weight(Context& context, const Absorption& absorption, Tensor weight) {
  ir::Graph& graph = context.graph;
  const auto old = narrow_weight(graph, absorption.weight);
  if (!old) return context.names.replace(absorption.weight, std::move(weight));
  const DataType narrow = graph.type(old->stored).dtype;
  const bool widens = context.options.widen_weights || context.purpose == Purpose::kRunning;
  auto rounded = widens ? std::nullopt : narrowed(weight, absorption.factor->shape, narrow);
  if (!rounded) {
    const size_t stored = graph.constant_of(old->stored)->bytes().size();
    if (weight.bytes().size() > stored) context.widened_bytes += static_cast<int64_t>(weight.bytes().size() - stored);
    return context.names.replace(absorption.weight, std::move(weight));
  }
  ++context.rounded_weights[narrow];
  Tensor widened =
      from_doubles(weight.dtype(), Shape(weight.shape().begin(), weight.shape().end()), to_doubles(*rounded));
  ir::NodeSpec spec = ir::spec_like(graph.node(old->cast));
  spec.inputs[0] = context.names.replace(old->stored, std::move(*rounded));
  spec.outputs = {{graph.unique_name(graph.name(absorption.weight)), graph.type(absorption.weight), {}}};
  const ir::ValueId made = graph.node(graph.add_node(std::move(spec), old->cast)).outputs[0];
  graph.set_constant(made, std::move(widened));
  context.names.take_over(made, absorption.weight);
  return made;
}

class Commit {
 public:
  Commit(Context& context, const Plan& plan, const AffineNode& seed)
      : context_(context), graph_(context.graph), plan_(plan), seed_(seed) {}

  void run(NewConstants made) {
    context_.subnormals_cleared += made.cleared;
    context_.budget.bytes -= made.growth;
    context_.across_casts += plan_.casts > 0;
    for (const Removal& removal : plan_.removals)
      if (!becomes_rest(removal)) context_.log.consider(removal.affine.node);
    std::vector<ir::NodeId> into;
    for (size_t i = 0; i < plan_.absorptions.size(); ++i) into.push_back(absorb(i, made));
    for (const auto& [affine, joined] : plan_.merges) into.push_back(merge(affine, joined));
    std::map<ir::NodeId, std::vector<size_t>> by_node;
    for (size_t i = 0; i < plan_.operands.size(); ++i) by_node[plan_.operands[i].use.node].push_back(i);
    for (const auto& [id, operands] : by_node) into.push_back(set_operands(id, operands, made));
    const std::string how = rule();
    std::vector<ir::NodeId> removed;
    for (auto removal = plan_.removals.rbegin(); removal != plan_.removals.rend(); ++removal) {
      if (!becomes_rest(*removal)) removed.push_back(removal->affine.node);
      remove(*removal);
    }
    const std::string names = names_of(into);
    for (const ir::NodeId id : removed) context_.log.folded(id, names, how);
  }

 private:
  std::string rule() const {
    if (plan_.absorptions.empty()) return !plan_.merges.empty() ? "joins_another" : "constant_absorbs";
    const PlannedAbsorption& first = plan_.absorptions[0];
    const bool keeps_bias = rest_node(first) && first.absorption.how == "matmul_absorbs_following";
    return keeps_bias ? "matmul_add_absorbs_following" : first.absorption.how;
  }

  std::string names_of(const std::vector<ir::NodeId>& nodes) const {
    std::string names;
    for (const ir::NodeId id : nodes) {
      if (!id || !graph_.alive(id)) continue;
      const ir::Node& node = graph_.node(id);
      names += (names.empty() ? "" : ", ") + (node.name.empty() ? graph_.name(node.outputs[0]) : node.name);
    }
    return names;
  }

  /// Its constant and name go on in the rest of an absorption.
  bool becomes_rest(const Removal& removal) const {
    return removal.affine.node != seed_.node && std::ranges::any_of(plan_.absorptions, [&](const auto& planned) {
             return planned.user == removal.affine.node && rest_node(planned);
           });
  }

  /// The name of a node that goes, for one that comes.
  std::string take_name(ir::NodeId id) { return named_.insert(id).second ? graph_.node(id).name : std::string(); }

  /// The removed Add or Sub whose place the rest of an absorption takes; none: there is no such node.
  ir::NodeId rest_node(const PlannedAbsorption& planned) const {
    const bool moved = std::ranges::any_of(plan_.removals,
                                           [&](const Removal& removal) { return removal.affine.node == planned.user; });
    if (!planned.absorption.rest || !moved) return {};
    const ir::Node& node = graph_.node(planned.user);
    return node.is("Add") || node.is("Sub") ? planned.user : ir::NodeId{};
  }

  /// A constant of the type that the node has, whatever it is computed in.
  ir::ValueId typed(ir::ValueId constant, DataType dtype) {
    if (graph_.type(constant).dtype != dtype)
      graph_.set_type(constant, ir::Type::tensor(dtype, graph_.type(constant).dims));
    return constant;
  }

  ir::NodeId absorb(size_t index, NewConstants& made) {
    const PlannedAbsorption& planned = plan_.absorptions[index];
    const Absorption& absorption = planned.absorption;
    const DataType dtype = graph_.type(absorption.weight).dtype;
    ir::ValueId weight = absorption.weight, bias = absorption.bias;
    if (made.weights[index]) {
      weight = typed(replace_weight(context_, absorption, std::move(*made.weights[index])), dtype);
      context_.scaled.insert_or_assign(weight, std::move(*made.scaled[index]));
    }
    if (made.biases[index]) {
      const ir::ValueId origin = seed_.origin ? seed_.origin : weight;
      bias = bias ? context_.names.replace(bias, std::move(*made.biases[index]))
                  : context_.names.add(bias_name(context_.names.of(weight)), std::move(*made.biases[index]), origin);
      context_.exact.insert_or_assign(typed(bias, dtype), absorption.new_bias->numbers);
    }
    const ir::Node node = graph_.node(absorption.node);
    ir::NodeSpec spec = absorber_of(node)->rebuilt(graph_, node, weight, bias);
    return replace_node(graph_, absorption.node, std::move(spec), [&](ir::ValueId result) {
      if (!absorption.rest) return result;
      const ir::NodeId like = rest_node(planned);
      Refusal ignored;
      const auto old = like ? read_arithmetic(context_, like, ignored) : std::nullopt;
      const ir::NodeId named = like ? like : seed_.node;
      const Written as{named, take_name(named), old ? old->origin : ir::ValueId{}, bias_name(context_.names.of(weight)),
                       seed_.origin ? seed_.origin : weight};
      return write_affine(context_, *absorption.rest, result, absorption.node, as);
    });
  }

  ir::NodeId set_operands(ir::NodeId id, const std::vector<size_t>& operands, NewConstants& made) {
    ir::NodeSpec spec = ir::spec_like(graph_.node(id));
    for (const size_t i : operands) {
      ir::ValueId& input = spec.inputs[static_cast<size_t>(plan_.operands[i].use.index)];
      const DataType dtype = graph_.type(input).dtype;
      input = typed(context_.names.replace(input, std::move(made.operands[i])), dtype);
      context_.exact.insert_or_assign(input, plan_.operands[i].numbers);
    }
    return replace_node(graph_, id, std::move(spec));
  }

  ir::NodeId merge(const AffineNode& affine, const Affine& joined) {
    const ir::ValueId x = graph_.node(affine.node).inputs[affine.operand];
    const bool is_norm = graph_.node(affine.node).is("BatchNormalization");
    if (is_norm && fits_batch_norm(graph_, affine, joined)) {
      const ir::NodeId made = write_batch_norm(context_, affine.node, joined);
      context_.log.became(affine.node, made);
      return made;
    }
    const Written as{affine.node, take_name(affine.node), is_norm ? ir::ValueId{} : affine.origin,
                     graph_.name(affine.y) + "_bias", affine.origin ? affine.origin : seed_.origin};
    const std::string name = graph_.name(affine.y);
    const ir::ValueId value = write_affine(context_, joined, x, affine.node, as);
    graph_.replace_all_uses(affine.y, value);
    if (value == x) return {};
    const ir::NodeId made = graph_.producer(value);
    context_.log.became(affine.node, made);
    graph_.erase_node(affine.node);
    graph_.rename(value, name);
    return made;
  }

  /// Where what makes the operand gives the result now, it has its name.
  void remove(const Removal& removal) {
    const ir::NodeId id = removal.affine.node;
    const ir::ValueId y = removal.affine.y, x = graph_.node(id).inputs[removal.affine.operand];
    const bool takes_name =
        removal.way == Way::kBack && graph_.producer(x) && graph_.has_single_use(x) && !graph_.is_pinned(x);
    const ir::ValueRecord old = graph_.value(y);
    graph_.replace_all_uses(y, x);
    graph_.erase_node(id);
    if (!takes_name) return;
    graph_.rename(x, old.name);
    graph_.set_declaration(x, old.extra);
  }

  Context& context_;
  ir::Graph& graph_;
  const Plan& plan_;
  const AffineNode& seed_;
  std::set<ir::NodeId> named_;  // whose names are taken
};

/// Tries one way of moving the affine: the whole of it, or its scale one way and its shift the other.
using Attempt = bool (*)(Search& search, const AffineNode& seed);

ir::Use operand_of(const AffineNode& seed) { return {seed.node, static_cast<int>(seed.operand)}; }

bool all_back(Search& search, const AffineNode& seed) {
  search.remove(seed, Way::kBack);
  return search.back(operand_of(seed), seed.affine);
}

bool all_forth(Search& search, const AffineNode& seed) {
  search.remove(seed, Way::kForth);
  return search.forth(seed.y, seed.affine);
}

/// scale x + shift: scaled by what makes x, shifted by what reads the result.
bool scale_back(Search& search, const AffineNode& seed) {
  search.remove(seed, Way::kForth);
  return seed.affine.scales() && seed.affine.shifts() && search.back(operand_of(seed), seed.affine.scale_alone()) &&
         search.forth(seed.y, seed.affine.shift_alone());
}

/// scale (x + shift / scale): the other way round.
bool shift_back(Search& search, const AffineNode& seed) {
  search.remove(seed, Way::kForth);
  if (!seed.affine.scales() || !seed.affine.shifts()) return false;
  const Affine shift = seed.affine.shift_before_scale();
  return shift.finite() && search.back(operand_of(seed), shift) && search.forth(seed.y, seed.affine.scale_alone());
}

constexpr std::array<Attempt, 4> kAttempts{all_back, all_forth, scale_back, shift_back};

/// The node ends what many nodes say and runtimes run as one: a number times x gate(x), as in GELU and HardSwish, or
/// the scale and bias of a LayerNormalization. Without its end it would not be known any more. (Pli joins the first
/// kind.)
bool ends_composite(const Context& context, const AffineNode& seed) {
  const ir::Graph& graph = context.graph;
  if (graph.node(seed.node).is("BatchNormalization")) return false;
  constexpr int kMostNodes = 3;  // a scale and a bias
  bool one_number = true;
  ir::NodeId id = seed.node;
  for (int i = 0; i < kMostNodes; ++i) {
    Refusal ignored;
    const auto affine = read_arithmetic(context, id, ignored);
    if (!affine) break;
    one_number = one_number && affine->affine.scale().size() == 1;
    id = graph.producer(affine->x);
    if (!id) return false;
  }
  const ir::Node& node = graph.node(id);
  if ((!node.is("Mul") && !node.is("Div")) || node.inputs.size() != 2 || !node.inputs[0] || !node.inputs[1])
    return false;
  if (graph.constant_of(node.inputs[0]) || graph.constant_of(node.inputs[1])) return false;
  return one_number || context.purpose == Purpose::kWriting;
}

/// Of an operand whose rank is not known: what makes it, if that explains it.
void nothing_known_of(const Context& context, ir::NodeId id, Refusal& why) {
  const ir::NodeId producer = context.graph.producer(context.graph.node(id).inputs[0]);
  if (!producer || !is_sound(context, producer, why)) return;
  if (!is_linear(context.graph.node(producer))) stands_before(context.graph, {id, 0}, id, "", why);
}

/// Of why it does not go back and why it does not go forward, what helps more.
Refusal first_obstacle(const std::vector<Refusal>& refusals, bool follower_has_weights) {
  Refusal back = refusals[0];
  const bool nothing_there =
      back.code == code::kNoLinearNeighbour || back.code == code::kNonlinearBetween || back.code == code::kNodeBetween;
  if (!nothing_there || !follower_has_weights) return back;
  const Refusal& forth = refusals[1];
  back.reason += "; behind it, " + forth.reason;
  if (back.code == code::kNoLinearNeighbour) back.code = forth.code;
  back.freezing_helps = forth.freezing_helps;
  return back;
}

/// Moves the affine of one node; logs what became of it. Returns whether the graph has changed.
bool move_affine(Context& context, ir::NodeId id, Reader read, Way way) {
  context.log.consider(id);
  Refusal why;
  const auto seed = is_sound(context, id, why) ? read(context, id, why) : std::nullopt;
  if (!seed && why.code == code::kAxisUnproven && !context.graph.type(context.graph.node(id).inputs[0]).has_rank())
    nothing_known_of(context, id, why);
  std::vector<Refusal> refusals;
  bool follower_has_weights = false;
  const bool stays_before = seed && way == Way::kForth && ends_composite(context, *seed);
  const size_t attempts = !seed ? 0 : way == Way::kBack || stays_before ? 1 : kAttempts.size();
  for (const Attempt attempt : std::span(kAttempts).first(attempts)) {
    Search search(context, *seed);
    const bool planned = attempt(search, *seed) && search.improves();
    Refusal obstacle = search.why();
    if (attempt == all_forth) follower_has_weights = search.met_absorber();
    if (planned && context.log.kept_by_user(id)) {
      why.because(code::kDisabled, "the options say that it has to stay");
      refusals.clear();
      break;
    }
    if (auto made = planned ? make_constants(context, search.plan(), obstacle) : std::nullopt) {
      Commit(context, search.plan(), *seed).run(std::move(*made));
      return true;
    }
    refusals.push_back(std::move(obstacle));
  }
  if (refusals.size() > 1)
    why = first_obstacle(refusals, follower_has_weights);
  else if (!refusals.empty())
    why = refusals[0];
  if (stays_before && !why.code.empty())
    why.because(code::kComposite, "it ends what runtimes know as one operator, such as GELU or LayerNormalization");
  context.log.refused(id, std::move(why));
  return false;
}

}  // namespace

int64_t move_affines(Context& context, bool (*takes)(const Context& context, ir::NodeId id), Reader read) {
  int64_t changes = 0;
  for (const Way way : {Way::kBack, Way::kForth})
    for (const ir::NodeId id : context.graph.nodes())
      if (context.graph.alive(id) && takes(context, id)) changes += move_affine(context, id, read, way);
  return changes;
}

}  // namespace pli::passes
