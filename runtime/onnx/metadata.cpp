#include "runtime/onnx/metadata.h"

#include "runtime/onnx/proto.h"

namespace pli {

ModelMetadata read_metadata(const ir::Model& model) {
  const auto proto = from_bytes<onnx::ModelProto>(model.extra);
  ModelMetadata metadata;
  metadata.ir_version = model.ir_version;
  metadata.opsets.insert(model.opsets->begin(), model.opsets->end());
  metadata.producer_name = proto.producer_name();
  metadata.producer_version = proto.producer_version();
  metadata.domain = proto.domain();
  metadata.model_version = proto.model_version();
  metadata.doc_string = proto.doc_string();
  metadata.graph_name = model.graph.name_of_graph;
  for (const onnx::StringStringEntryProto& property : proto.metadata_props())
    metadata.properties.emplace_back(property.key(), property.value());
  return metadata;
}

}  // namespace pli
