#pragma once

#include "runtime/ir/graph.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace pli {

/// What a model says about itself; nothing of it changes what it computes.
struct Metadata {
  std::string producer_name;
  std::string producer_version;
  std::string domain;
  int64_t model_version = 0;
  std::string doc_string;
  std::vector<std::pair<std::string, std::string>> properties;  // ONNX's metadata_props, in their order
};

Metadata metadata_of(const ir::Model& model);

/// Nodes of a function, those of its nested graphs left out.
int64_t node_count(const ir::Function& function);

}  // namespace pli
