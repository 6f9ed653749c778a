#pragma once

#include "runtime/ir/graph.h"
#include "runtime/onnx/proto.h"

#include <pli/limits.h>

namespace pli {

/// Checks the model's local functions: each is there once, none calls itself, however indirectly, and what their calls
/// expand to keeps to the limit on nodes. kInvalidModel, kResourceLimit.
void check_functions(const onnx::ModelProto& model, const Limits& limits);

struct FunctionNode {
  std::string name;
  std::string output;  // the first; empty when there is none
};

/// The nodes of one type of ONNX's own in a function, also in the graphs that its nodes hold.
std::vector<FunctionNode> find_in_function(const ir::Function& function, std::string_view op_type);

}  // namespace pli
