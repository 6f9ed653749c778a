#pragma once

#include "runtime/ir/graph.h"
#include "runtime/onnx/functions.h"
#include "runtime/onnx/proto.h"
#include "runtime/onnx/tensor_proto.h"

#include <pli/limits.h>

namespace pli {

/// What the graphs of one model share.
struct ModelContext {
  int64_t ir_version;
  std::shared_ptr<const ir::OpsetImports> opsets;
  const Limits& limits;
  const Functions& functions;
  const SharedPayloads& payloads;
  bool in_function = false;
};

/// What a model or function imports. Before IR version 3 there were no imports, and one operator set.
ir::OpsetImports read_opsets(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports,
                             int64_t ir_version);

/// Makes the main graph of a model that has been screened, nested graphs included, and frees `proto` piece by piece on
/// the way. kInvalidModel: a value without a maker, two of one name, a cycle, a payload that does not fit its type, ...
ir::Graph read_graph(onnx::GraphProto& proto, const ModelContext& context);

/// The body of a function: a graph of its own, whose operator sets the function may name itself. Errors as above.
ir::Graph read_body(onnx::FunctionProto& proto, const ModelContext& context);

}  // namespace pli
