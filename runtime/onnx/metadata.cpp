#include "runtime/onnx/metadata.h"

#include "runtime/onnx/proto.h"

namespace pli {

Metadata metadata_of(const ir::Model& model) {
  const auto proto = from_bytes<onnx::ModelProto>(model.extra);
  Metadata metadata{proto.producer_name(), proto.producer_version(), proto.domain(),
                    proto.model_version(), proto.doc_string(),       {}};
  for (const onnx::StringStringEntryProto& entry : proto.metadata_props())
    metadata.properties.emplace_back(entry.key(), entry.value());
  return metadata;
}

int64_t node_count(const ir::Function& function) { return from_bytes<onnx::FunctionProto>(function.proto).node_size(); }

}  // namespace pli
