#pragma once

#include "runtime/ir/graph.h"
#include "runtime/onnx/proto.h"

#include <pli/limits.h>

#include <set>
#include <string>
#include <tuple>

namespace pli {

/// What tells functions apart: domain ("" for ai.onnx), name and overload.
using FunctionKey = std::tuple<std::string, std::string, std::string>;

/// The function that the node calls if the model has it.
FunctionKey function_key(const onnx::NodeProto& node);

/// Checks the model's local functions, and gives their keys: each is there once, none calls itself, however indirectly,
/// and what their calls expand to keeps to the limit on nodes. kInvalidModel, kResourceLimit.
std::set<FunctionKey> check_functions(const onnx::ModelProto& model, const Limits& limits);

struct FunctionNode {
  std::string name;
  std::string output;  // the first; empty when there is none
};

/// The nodes of one type of ONNX's own in a function, also in the graphs that its nodes hold.
std::vector<FunctionNode> find_in_function(const ir::Function& function, std::string_view op_type);

}  // namespace pli
