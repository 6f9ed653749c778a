#include <pli/optimize.h>

#include "passes/pipeline.h"
#include "runtime/compute/float_control.h"
#include "runtime/ir/graph.h"

namespace pli {

namespace {

/// The functions that are left are as they came, and so is what is in them.
void report_functions(const ir::Model& model, Report& report) {
  for (const auto& function : model.functions)
    ir::for_each_graph(function->body, [&](const ir::Graph& graph) {
      for (const ir::NodeId id : graph.nodes()) {
        const ir::Node& node = graph.node(id);
        if (!node.is("BatchNormalization")) continue;
        report.batch_norms.push_back(
            {.name = node.name,
             .output = node.output(0) ? graph.name(node.outputs[0]) : std::string(),
             .graph = function->domain + "." + function->name,
             .code = std::string(passes::code::kFunction),
             .reason = "it is in a local function of the model that is not put in the place of its calls"});
      }
    });
}

OptimizedModel optimized(ir::Model model, const OptimizeOptions& options, passes::Purpose purpose) {
  const compute::FloatScope floats;  // whatever the caller's rounding is
  Report report = passes::run(model, options, purpose);
  report_functions(model, report);
  return {Model(std::make_shared<const ir::Model>(std::move(model))), std::move(report)};
}

OptimizedModel optimize_for(passes::Purpose purpose, Model&& model, const OptimizeOptions& options) {
  ir::Model copy = *model.ir();
  (void)Model(std::move(model));  // frees all but what the copy shares
  return optimized(std::move(copy), options, purpose);
}

}  // namespace

Report optimize(Model& model, const OptimizeOptions& options) {
  OptimizedModel result = optimized(*model.ir(), options, passes::Purpose::kWriting);
  model = std::move(result.model);
  return std::move(result.report);
}

OptimizedModel optimize(Model&& model, const OptimizeOptions& options) {
  return optimize_for(passes::Purpose::kWriting, std::move(model), options);
}

OptimizedModel optimize_to_run(Model&& model, const OptimizeOptions& options) {
  return optimize_for(passes::Purpose::kRunning, std::move(model), options);
}

std::vector<PassInfo> list_passes(const OptimizeOptions& options) {
  std::vector<PassInfo> list;
  for (const passes::Pass& pass : passes::selected(options))
    list.push_back({std::string(pass.name), std::string(pass.summary)});
  return list;
}

}  // namespace pli
