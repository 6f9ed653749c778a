#include "passes/pipeline.h"

#include "passes/inline_functions.h"
#include "passes/replace_node.h"
#include "runtime/ops/evaluate.h"
#include "runtime/ops/normalization/batch_normalization.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <set>

namespace pli::passes {

namespace {

constexpr std::array kPasses = std::to_array<Pass>({
    {"inline_functions", "Put what a local function of the model holds in the place of its calls", inline_functions},
    {"eliminate_nop",
     "Remove nodes that give their input as it is: Identity, Dropout, a Reshape to the same shape, ...", eliminate_nop},
    {"constants_to_initializers", "Store what Constant nodes hold as initializers", constants_to_initializers},
    {"fold_constants", "Compute what depends on constants only", fold_constants},
    {"inline_if", "Put the branch in the place of an If whose condition is constant", inline_if},
    {"unpack_sequences", "Split and join tensors without making sequences of them", unpack_sequences},
    {"einsum_to_matmul", "Make a MatMul of an Einsum that is a product of matrices", einsum_to_matmul},
    {"merge_consecutive",
     "Merge Transposes, Casts, Slices, Concats and Reshapes that follow each other; give Reshapes constant shapes",
     merge_consecutive},
    {"sink_transposes", "Move Transposes to where they meet their inverse, and work along other axes between them",
     sink_transposes},
    {"fuse_hard_sigmoid", "Make HardSigmoid and HardSwish of what is shifted, clipped and divided", fuse_hard_sigmoid},
    {"fold_batch_norm", "Fold BatchNormalization into the weights before or behind it", fold_batch_norm},
    {"fold_channel_affine", "Fold Mul, Add, Sub and Div by constants into the weights before or behind them",
     fold_channel_affine},
    {"duplicate_linear", "Fold BatchNormalization into a copy where the original is read by others, if that is allowed",
     duplicate_linear},
    {"fuse_pad", "Let a Conv pad with the zeros that a Pad before it puts there", fuse_pad},
    {"fuse_matmul_add", "Make a Gemm of a product of matrices and what is added to it", fuse_matmul_add},
    {"merge_parallel_convolutions", "Add convolutions of the same input up to one, as RepVGG needs it",
     merge_parallel_convolutions},
    {"merge_linear", "Make one Conv, Gemm or MatMul of two that follow each other, where that is cheaper",
     merge_linear},
    {"fuse_channel_shuffle", "Let a Concat interleave the channels that a Reshape and a Transpose behind it shuffle",
     fuse_channel_shuffle},
    {"eliminate_common_subexpression", "Compute what is computed twice, and store what is stored twice, once",
     eliminate_common_subexpression},
});

/// Rounds over all passes. Each makes the graph smaller or simpler, so that only a defect would need as many.
constexpr int kMostRounds = 64;

void check_names(const std::vector<std::string>& names) {
  std::vector<std::string> known;
  for (const Pass& pass : kPasses) known.emplace_back(pass.name);
  for (const std::string& name : names)
    if (std::ranges::find(known, name) == known.end())
      fail(ErrorCode::kInvalidArgument, "there is no pass \"{}\"; the passes are {}", name, suggest(name, known));
}

/// Before IR version 4 every initializer is an input as well. A constant that a pass made is not, so that the model has
/// to become one of version 4, its old initializers no inputs any more.
void raise_ir_version(ir::Model& model, size_t values_before, Names& names, Report& report) {
  const auto made = [&](ir::ValueId id) { return static_cast<size_t>(id.index) >= values_before; };
  const int64_t version = ir::saved_ir_version(model);
  if (version == model.ir_version || std::ranges::none_of(model.graph.initializers(), made)) return;
  const std::vector<std::string> frozen = model.graph.freeze_defaults();
  report.notes.push_back(fmt::format("the model's IR version {} became {}: its {} initializers are no inputs any more",
                                     model.ir_version, version, frozen.size()));
  model.ir_version = version;
  model.graph.erase_dead();
  names.settle();
  model.graph.verify();
}

/// Functions that a graph calls, and those that they call.
void note_called(const ir::Graph& graph, std::set<const ir::Function*>& called) {
  ir::for_each_graph(graph, [&](const ir::Graph& each) {
    for (const ir::NodeId id : each.nodes())
      if (const ir::Function* function = each.node(id).function.get(); function && called.insert(function).second)
        note_called(function->body, called);
  });
}

/// Removes the functions that nothing calls, and the imports that only they needed. A training graph, which pins names,
/// could call them.
void drop_uncalled_functions(ir::Model& model, Report& report) {
  if (model.functions.empty() || model.graph.has_pins()) return;
  std::set<const ir::Function*> called;
  note_called(model.graph, called);
  std::set<std::string> left;  // domains
  const auto note_domains = [&](const ir::Graph& graph) {
    ir::for_each_graph(graph, [&](const ir::Graph& each) {
      for (const ir::NodeId id : each.nodes()) left.insert(each.node(id).domain);
    });
  };
  note_domains(model.graph);
  for (const ir::Function* function : called) note_domains(function->body);
  auto opsets = std::make_shared<ir::OpsetImports>(*model.opsets);
  const size_t before = model.functions.size();
  std::erase_if(model.functions, [&](const auto& function) {
    if (called.contains(function.get())) return false;
    if (!function->domain.empty() && function->domain != "ai.onnx" && !left.contains(function->domain))
      opsets->erase(function->domain);
    return true;
  });
  const size_t gone = before - model.functions.size();
  if (gone == 0) return;
  model.opsets = std::move(opsets);
  report.notes.push_back(
      fmt::format("{} gone: what functions hold stands in the place of their calls (--disable "
                  "inline_functions keeps them)",
                  gone == 1 ? "1 local function is" : fmt::format("{} local functions are", gone)));
}

/// Before opset 14 a BatchNormalization that lists its statistics trains, by the standard's words; exporters wrote it
/// for inference.
void note_unread_statistics(const Context& context, Report& report) {
  const ir::Graph& graph = context.graph;
  int64_t count = 0;
  std::string first;
  for (const ir::NodeId id : graph.nodes()) {
    const ir::Node& node = graph.node(id);
    if (!node.is("BatchNormalization") || context.broken.contains(id)) continue;
    if (!ops::BatchNormView::of(graph, node).lists_unread_statistics) continue;
    if (count++ == 0) first = ir::describe(graph, node);
  }
  if (count == 0) return;
  report.notes.push_back(fmt::format(
      "{} of the BatchNormalizations, such as {}, list statistics as outputs that nobody reads: {}", count, first,
      context.options.strict
          ? "training, by the standard's words, so they stay"
          : "taken as inference, as exporters meant it (--strict: training, by the standard's words)"));
}

/// What could have been folded, but for the limits.
void note_over_limit(const Context& context, Report& report) {
  auto left = context.over_limit;
  std::erase_if(left, [&](const auto& node) { return !context.graph.alive(node.first); });
  if (left.empty()) return;
  const auto [first, limit] = left.front();
  const int64_t bytes = context.options.limits.folded_bytes;
  const std::string what =
      limit == ops::FoldingLimit::kNode ? fmt::format("its limit of {} bytes", bytes)
      : limit == ops::FoldingLimit::kAllNodes
          ? fmt::format("what all nodes together may make, in proportion to the limit of {} bytes", bytes)
          : fmt::format("the work that is in proportion to its limit of {} bytes", bytes);
  report.notes.push_back(
      fmt::format("{} {} computed in every run though the operands are constant: folding would pass {}, which "
                  "--folding-limit raises",
                  ir::describe(context.graph, context.graph.node(first)),
                  left.size() == 1 ? "is" : fmt::format("and {} more nodes are", left.size() - 1), what));
}

/// How long `body` takes.
template <class Body>
double milliseconds(const Body& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

/// What a node of a newer operator set means could have changed.
bool knows_opset(const ir::Graph& graph) { return graph.opset("") >= 1 && graph.opset("") <= ops::kNewestOpset; }

/// Runs the passes on a model's graphs and collects what is to be reported of them.
class Runner {
 public:
  Runner(std::span<const Pass> passes, const OptimizeOptions& options, bool free_initializers, const ir::Graph& graph,
         Report& report)
      : passes_(passes),
        options_(options),
        free_initializers_(free_initializers),
        budget_(ops::FoldingBudget::of(graph, options.limits)),
        widening_(budget_),
        turning_((int64_t{1} << 20) + 256 * static_cast<int64_t>(graph.node_count())),
        report_(report) {
    widening_.bytes *= 2;  // an integer of 8 bits becomes a float of 32
  }

  /// Until nothing changes any more. Whether anything has.
  bool run(ir::Graph& graph, Purpose purpose, FoldLog& log, Names& names) {
    Context context{graph, options_, purpose, log, names, free_initializers_, widening_, budget_, turning_};
    graph.erase_dead();
    context.broken = ops::infer_types(graph, options_.limits);
    note_unread_statistics(context, report_);
    bool changed = true, ever = false;
    for (int round = 0; changed && round < kMostRounds; ++round) {
      changed = false;
      for (size_t i = 0; i < passes_.size(); ++i) {
        const int64_t changes = run_pass(passes_[i], context, report_.passes[i].ms);
        report_.passes[i].changes += changes;
        changed = changed || changes > 0;
        if (passes_[i].name != options_.stop_after) continue;
        ever = ever || changed;
        changed = false;
        break;
      }
      ever = ever || changed;
    }
    note_over_limit(context, report_);
    for (const auto& [id, why] : context.broken)
      report_.broken_nodes.push_back({ir::describe(graph, graph.node(id)), why});
    for (const auto& [dtype, count] : context.rounded_weights) rounded_[dtype] += count;
    report_.subnormals_cleared += context.subnormals_cleared;
    budget_ = context.budget;
    turning_ = context.turning;
    widening_ = context.widening;
    widened_bytes_ += context.widened_bytes;
    across_casts_ += context.across_casts;
    constant_channels_ += context.constant_channels;
    return ever;
  }

  /// The same for the graphs that nodes hold, at any depth.
  void run_nested(ir::Graph& graph, FoldLog& log) {
    taken_ = all_names(graph);
    run_bodies(graph, log, {});
  }

  /// What the types of weights have to do with it.
  void note_weights() {
    for (const auto& [dtype, count] : rounded_) {
      report_.rounded_to = dtype;
      report_.notes.push_back(
          fmt::format("{} folded weights are stored as {}, as before, which rounds them once more; "
                      "--widen-weights stores them as they are computed",
                      count, to_string(dtype)));
    }
    if (across_casts_ > 0)
      report_.notes.push_back(fmt::format(
          "{} scales and shifts moved across a Cast: what they give is rounded once in the type on its other side",
          across_casts_));
    if (constant_channels_ > 0)
      report_.notes.push_back(fmt::format(
          "channels that are scaled by 0, and constant from now on even where NaN or infinity reaches them: {}",
          constant_channels_));
    if (widened_bytes_ > 0)
      report_.notes.push_back(fmt::format("{} bytes more for folded weights that were stored in a narrower type{}",
                                          widened_bytes_,
                                          options_.widen_weights ? "" : ", whose range or precision they leave"));
  }

 private:
  /// Runs one pass with all that goes around it.
  int64_t run_pass(const Pass& pass, Context& context, double& ms) {
    int64_t changes = 0;
    ms += milliseconds([&] {
      with_context(fmt::format("pass {}", pass.name), [&] {
        changes = pass.run(context);
        if (changes == 0) return;
        context.graph.erase_dead();
        context.names.settle();
        context.broken = ops::infer_types(context.graph, options_.limits);
        context.graph.verify();
      });
    });
    return changes;
  }

  /// `around`: the bodies that the graph is in.
  bool run_bodies(ir::Graph& graph, FoldLog& log, const std::vector<const ir::Graph*>& around) {
    bool any = false;
    for (const ir::NodeId id : graph.nodes()) {
      bool holds = false;
      ir::for_each_subgraph(graph.node(id), [&](const ir::Subgraph&) { holds = true; });
      if (!holds || !graph.node(id).is_onnx()) continue;
      ir::NodeSpec spec = ir::spec_like(graph.node(id));
      bool changed = false;
      for (ir::Attribute& attribute : spec.attributes) {
        if (auto* one = std::get_if<ir::Subgraph>(&attribute.value))
          changed = run_body(graph, *one, log, around) || changed;
        else if (auto* many = std::get_if<std::vector<ir::Subgraph>>(&attribute.value))
          for (ir::Subgraph& each : *many) changed = run_body(graph, each, log, around) || changed;
      }
      if (changed) (void)replace_node(graph, id, std::move(spec));
      any = any || changed;
    }
    if (!any) return false;
    graph.erase_dead();
    graph.verify();
    return true;
  }

  /// The body of a node of `graph`, which becomes another when something changes. What it captures has the types, and
  /// the values, that it has outside, but no symbols: a body may mean something else by them. Its weights stay in the
  /// types that they are stored in, whatever the purpose.
  bool run_body(const ir::Graph& graph, ir::Subgraph& body, FoldLog& log, std::vector<const ir::Graph*> around) {
    const ir::Graph& original = *body.graph;
    auto copy = std::make_shared<ir::Graph>(original);
    for (size_t i = 0; i < body.captures.size(); ++i) {
      const ir::ValueId outside = body.captures[i], inside = copy->captures()[i];
      ir::Type type = graph.type(outside);
      if (type.dims)
        for (ir::Dim& dim : *type.dims)
          if (dim.symbolic()) dim = {};
      copy->set_type(inside, std::move(type));
      const Tensor* constant = graph.constant_of(outside);
      if (constant && constant->dtype() == graph.type(outside).dtype) copy->set_constant(inside, *constant);
    }
    copy->reserve_names(taken_);
    for (const ir::Graph* each : around)
      for (size_t i = 0; i < each->value_limit(); ++i)
        if (const ir::ValueId value{static_cast<int32_t>(i)}; each->alive(value)) copy->reserve_name(each->name(value));
    FoldLog own_log(*copy, options_, true);
    Names names(*copy);
    bool changed = run(*copy, Purpose::kWriting, own_log, names);
    around.push_back(copy.get());
    changed = run_bodies(*copy, own_log, around) || changed;
    Report said;
    own_log.write(*copy, said);
    log.nested(original, said);
    if (!changed) return false;
    report_.origin.merge(names.origins());
    std::vector<ir::ValueId> captures;
    for (const size_t i : copy->erase_unused_captures()) captures.push_back(body.captures[i]);
    copy->verify();
    body = {std::move(copy), std::move(captures)};
    return true;
  }

  std::span<const Pass> passes_;
  const OptimizeOptions& options_;
  bool free_initializers_;
  ops::FoldingBudget budget_, widening_;  // of all graphs together
  int64_t turning_;                       // likewise
  Report& report_;
  std::map<DataType, int64_t> rounded_;
  int64_t widened_bytes_ = 0;
  int64_t across_casts_ = 0;
  int64_t constant_channels_ = 0;
  std::shared_ptr<const ir::NameSet> taken_;  // names in any graph of the model
};

}  // namespace

std::span<const Pass> passes() { return kPasses; }

std::vector<Pass> selected(const OptimizeOptions& options) {
  check_names(options.only);
  check_names(options.disable);
  if (!options.stop_after.empty()) check_names({options.stop_after});
  const auto named = [](const std::vector<std::string>& names, std::string_view name) {
    return std::ranges::find(names, name) != names.end();
  };
  std::vector<Pass> result;
  for (const Pass& pass : kPasses)
    if ((options.only.empty() || named(options.only, pass.name)) && !named(options.disable, pass.name))
      result.push_back(pass);
  const auto stops = [&](const Pass& pass) { return pass.name == options.stop_after; };
  if (!options.stop_after.empty() && std::ranges::none_of(result, stops))
    fail(ErrorCode::kInvalidArgument, "pass \"{}\" is to be the last one, but is not among those that run",
         options.stop_after);
  return result;
}

Report run(ir::Model& model, const OptimizeOptions& options, Purpose purpose) {
  std::vector<Pass> chosen = selected(options);
  ir::Graph& graph = model.graph;
  Report report;
  if (!knows_opset(graph)) {
    chosen.clear();
    report.notes.push_back(
        fmt::format("the model's operator set {} is not one of 1 to {}, so its nodes are left as they are",
                    graph.opset(""), ops::kNewestOpset));
  }
  report.nodes_before = static_cast<int64_t>(graph.node_count());
  if (options.freeze_initializers)
    if (const auto frozen = graph.freeze_defaults(); !frozen.empty()) {
      report.notes.push_back(fmt::format("{} initializers are no inputs any more, as asked for", frozen.size()));
      model.ir_version = std::max(model.ir_version, ir::kFreeInitializers);
    }
  for (const Pass& pass : chosen) report.passes.push_back({std::string(pass.name), 0, 0});

  const size_t values_before = graph.value_limit();
  const auto inlining = std::ranges::find(chosen, PassFn{inline_functions}, &Pass::run);
  if (inlining != chosen.end()) {
    PassRun& inlined = report.passes[static_cast<size_t>(inlining - chosen.begin())];
    inlined.ms += milliseconds([&] { inlined.changes = inline_calls(graph, purpose); });
  }
  FoldLog log(graph, options);
  Names names(graph);
  const bool free_initializers = model.ir_version >= ir::kFreeInitializers;
  Runner runner(chosen, options, free_initializers, graph, report);
  runner.run(graph, purpose, log, names);
  if (free_initializers && !chosen.empty() && options.stop_after.empty()) runner.run_nested(graph, log);
  raise_ir_version(model, values_before, names, report);
  if (inlining != chosen.end()) drop_uncalled_functions(model, report);
  log.write(graph, report);
  if (const int64_t kept = log.kept_for_overridable(); kept > 0)
    report.notes.push_back(fmt::format(
        "{} BatchNormalizations stay because weights are inputs whose values may be overridden; --freeze-initializers "
        "takes them as constant",
        kept));
  runner.note_weights();
  report.nodes_after = static_cast<int64_t>(graph.node_count());
  report.origin.merge(names.origins());
  return report;
}

}  // namespace pli::passes
