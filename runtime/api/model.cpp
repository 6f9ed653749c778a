#include "runtime/core/error.h"
#include "runtime/ir/graph.h"
#include "runtime/onnx/load.h"
#include "runtime/onnx/metadata.h"
#include "runtime/onnx/save.h"

#include <pli/model.h>

namespace pli {

Model Model::load(const std::filesystem::path& path, const LoadOptions& options) {
  return Model(std::make_shared<const ir::Model>(load_model(path, options.limits, options.external_folders)));
}

Model Model::parse(std::span<const std::byte> bytes, const Limits& limits) {
  return Model(std::make_shared<const ir::Model>(parse_model(bytes, limits)));
}

void Model::save(const std::filesystem::path& path, ExternalData external) const { save_model(*ir_, path, external); }

ModelMetadata Model::metadata() const { return read_metadata(*ir_); }

Model::Model(std::shared_ptr<const ir::Model> ir) : ir_(std::move(ir)) {
  if (!ir_) fail(ErrorCode::kInvalidArgument, "a model needs a graph");
}
Model::Model(const Model&) = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(const Model&) = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

}  // namespace pli
