#include <pli/optimize.h>

#include "passes/pipeline.h"
#include "runtime/ir/graph.h"

namespace pli {

Report optimize(Model& model, const OptimizeOptions& options) {
  ir::Model copy = *model.ir();
  Report report = passes::run(copy, options);
  model = Model(std::make_shared<const ir::Model>(std::move(copy)));
  return report;
}

std::vector<PassInfo> list_passes() {
  std::vector<PassInfo> list;
  for (const passes::Pass& pass : passes::passes()) list.push_back({std::string(pass.name), std::string(pass.summary)});
  return list;
}

}  // namespace pli
