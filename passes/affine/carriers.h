#pragma once

#include "passes/affine/carry.h"

#include <optional>
#include <string>

namespace pli::passes {

// What the functions behind the table of carry.cpp have in common, and those that stand in other files.

using Answer = std::optional<Carried>;

inline Answer refuse(std::string& why, std::string words) {
  why = std::move(words);
  return std::nullopt;
}

inline Answer at_first(Affine affine) { return Carried{{{0, std::move(affine)}}, {}}; }

inline const ir::Dims* dims_of(const ir::Graph& graph, ir::ValueId value) {
  if (!value) return nullptr;
  const ir::Type& type = graph.type(value);
  return type.dims ? &*type.dims : nullptr;
}

/// The dimensions of input 0 and output 0; refused where a rank is not known.
struct Sides {
  const ir::Dims* in;
  const ir::Dims* out;
  static std::optional<Sides> of(const Crossing& c, std::string& why) {
    const Sides sides{dims_of(c.graph, c.node.input(0)), dims_of(c.graph, c.node.output(0))};
    if (sides.in && sides.out) return sides;
    why = "its rank is not known";
    return std::nullopt;
  }
};

// Of operators that move elements.
Answer carry_transpose(const Crossing& c, const Affine& affine, std::string&);
Answer carry_reshape(const Crossing& c, const Affine& affine, std::string& why);
Answer carry_concat(const Crossing& c, const Affine& affine, std::string& why);
Answer carry_split(const Crossing& c, const Affine& affine, std::string& why);
Answer carry_slice(const Crossing& c, const Affine& affine, std::string& why);
Answer carry_gather(const Crossing& c, const Affine& affine, std::string& why);
Answer carry_depth(const Crossing& c, const Affine& affine, std::string& why);
Answer carry_tile(const Crossing& c, const Affine& affine, std::string& why);
Answer carry_expand(const Crossing& c, const Affine& affine, std::string& why);

}  // namespace pli::passes
