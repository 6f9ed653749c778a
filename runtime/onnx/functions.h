#pragma once

#include "runtime/ir/graph.h"
#include "runtime/onnx/proto.h"

#include <pli/limits.h>

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace pli {

/// What tells functions apart: domain ("" for ai.onnx), name and overload.
using FunctionKey = std::tuple<std::string, std::string, std::string>;

using Functions = std::map<FunctionKey, std::shared_ptr<const ir::Function>>;

/// The function that the node calls if the model has it.
FunctionKey function_key(const onnx::NodeProto& node);
FunctionKey function_key(const onnx::FunctionProto& function);

/// Checks the model's local functions: each is there once, none calls itself, however indirectly, and what their calls
/// expand to keeps to the limit on nodes. Gives their indices, each behind those of the functions that it calls.
/// kInvalidModel, kResourceLimit.
std::vector<int> order_functions(const onnx::ModelProto& model, const Limits& limits);

/// The defaults of a function's attributes, of which graphs, lists of tensors and external data are Opaque.
/// kInvalidModel when one is not valid.
std::vector<ir::Attribute> read_defaults(const onnx::FunctionProto& function, const Limits& limits);

}  // namespace pli
