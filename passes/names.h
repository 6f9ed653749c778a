#pragma once

#include "runtime/ir/graph.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace pli::passes {

/// The names of new constants: each has the name of what it replaces, as soon as nobody needs the old value any more.
class Names {
 public:
  explicit Names(ir::Graph& graph) : graph_(graph) {}

  /// A new initializer in the place of `old`.
  ir::ValueId replace(ir::ValueId old, Tensor tensor);
  /// `made`, a node's result, shall have the name of `old`.
  void take_over(ir::ValueId made, ir::ValueId old) { wanted_[made] = of(old); }
  /// A new initializer under `name` or one like it, made from the value `origin`, if any.
  ir::ValueId add(std::string_view name, Tensor tensor, ir::ValueId origin);

  /// The name that a value will have in the end.
  const std::string& of(ir::ValueId id) const;

  /// Gives out the names that have become free.
  void settle();

  /// New name -> the name that it came from, of the constants that are still there.
  std::map<std::string, std::string> origins() const;

 private:
  ir::Graph& graph_;
  std::map<ir::ValueId, std::string> wanted_;
  std::map<ir::ValueId, std::string> origins_;
};

/// The names of all values, in the graph and in those that its nodes hold.
std::shared_ptr<ir::NameSet> all_names(const ir::Graph& graph);

/// The name of a bias from that of its weight, as frameworks pair them.
std::string bias_name(const std::string& weight);

}  // namespace pli::passes
