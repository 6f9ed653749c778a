#include "passes/affine/move_affine.h"

#include "passes/affine/commit.h"
#include "passes/affine/obstacles.h"

#include <array>

namespace pli::passes {

namespace {

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
/// the scale and bias of a LayerNormalization. Without its end it would not be known any more.
bool ends_composite(const Context& context, const AffineNode& seed) {
  const ir::Graph& graph = context.graph;
  if (graph.node(seed.node).is("BatchNormalization")) return false;
  constexpr int kMostNodes = 3;  // a scale and a bias
  ir::NodeId id = seed.node;
  for (int i = 0; i < kMostNodes; ++i) {
    Refusal ignored;
    const auto affine = read_arithmetic(context, id, ignored);
    if (!affine) break;
    id = graph.producer(affine->x);
    if (!id) return false;
  }
  const ir::Node& node = graph.node(id);
  return (node.is("Mul") || node.is("Div")) && node.inputs.size() == 2 && node.inputs[0] && node.inputs[1] &&
         !graph.constant_of(node.inputs[0]) && !graph.constant_of(node.inputs[1]);
}

/// Of an operand whose rank is not known: what makes it, if that explains it.
void nothing_known_of(const Context& context, ir::NodeId id, Refusal& why) {
  const ir::NodeId producer = context.graph.producer(context.graph.node(id).inputs[0]);
  if (!producer || !is_sound(context, producer, why)) return;
  if (!is_linear(context.graph.node(producer))) stands_before(context.graph, {id, 0}, id, "", why);
}

/// Of why it does not go back and why it does not go forward, what helps more.
Refusal first_obstacle(const std::vector<Refusal>& refusals, bool follower_could_take_it) {
  Refusal back = refusals[0];
  const bool nothing_there =
      back.code == code::kNoLinearNeighbour || back.code == code::kNonlinearBetween || back.code == code::kNodeBetween;
  if (!nothing_there || !follower_could_take_it) return back;
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
  bool follower_could_take_it = false;
  const bool stays_before = seed && way == Way::kForth && ends_composite(context, *seed);
  const size_t attempts = !seed ? 0 : way == Way::kBack || stays_before ? 1 : kAttempts.size();
  for (const Attempt attempt : std::span(kAttempts).first(attempts)) {
    Search search(context, *seed);
    const bool planned = attempt(search, *seed) && search.improves();
    Refusal obstacle = search.why();
    if (attempt == all_forth) follower_could_take_it = search.met_taker();
    if (planned && context.log.kept_by_user(id)) {
      why.because(code::kDisabled, "the options say that it has to stay");
      refusals.clear();
      break;
    }
    if (auto made = planned ? make_constants(context, search.plan(), obstacle) : std::nullopt) {
      commit(context, search.plan(), *seed, std::move(*made));
      context.constant_channels += std::ranges::count(seed->affine.scale(), 0.0);
      return true;
    }
    refusals.push_back(std::move(obstacle));
  }
  if (refusals.size() > 1)
    why = first_obstacle(refusals, follower_could_take_it);
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
