#pragma once

#include "runtime/ir/graph.h"

#include <span>
#include <string>
#include <vector>

namespace pli {

/// The names that a graph is saved under. The names of the main graph's inputs and outputs are what callers know, so
/// they stay; a value in the way of one gets a new name. Inputs and outputs of a nested graph go by position.
struct SavedNames {
  std::vector<std::string> values;  // by value id

  struct Output {
    std::string name;
    bool identity;  // the output is made by an Identity of its value: it is an input, constant or captured, or has two
                    // names
  };
  std::vector<Output> outputs;
};

/// `captured`: for a nested graph, what its captures are called in the graph around it; parallel to graph.captures().
SavedNames choose_names(const ir::Graph& graph, bool nested, std::span<const std::string> captured);

}  // namespace pli
