#pragma once

#include "runtime/ops/operator.h"
#include "runtime/ops/window.h"

namespace pli::ops {

/// Conv or ConvTranspose with every default filled in, checked against the shapes of its operands as far as they are
/// known.
///
/// Weights are [filters, channels / group, kernel...] in a Conv and [channels, filters / group, kernel...] in a
/// ConvTranspose.
struct ConvView {
  bool transposed = false;
  ir::ValueId x, weight, bias;  // bias: none when omitted
  size_t spatial_rank = 0;      // 1 to 3 in what Pli runs; 0: not even the rank is known yet
  int64_t group = 1;
  int64_t channels = -1;         // of the input; -1: not known
  int64_t filters = -1;          // channels of the output
  std::optional<Window> window;  // strides, dilations and pads; none while the kernel's size is not known
  Shape output_padding;          // ConvTranspose only
  Shape output_shape;            // likewise; empty when not given

  /// kInvalidModel when attributes and operands contradict each other.
  static ConvView of(const ir::Graph& graph, const ir::Node& node);

  /// The output's size in spatial dimension `i` for an input's; not known where it can't be told.
  /// kInvalidModel when nothing would be left of it.
  ir::Dim output_dim(size_t i, const ir::Dim& input) const;

  /// The window with the pads in effect for an input of these spatial sizes, auto_pad kNotSet. In a ConvTranspose with
  /// output_shape a pad_end may be negative: elements at the end that nothing reaches but the bias.
  Window resolved(std::span<const int64_t> spatial) const;

  bool depthwise() const { return group > 1 && group == channels; }

  /// `node` once more with other weights and bias; its name, attributes and all else stay. The outputs are left to be
  /// named.
  ir::NodeSpec with_weights(const ir::Node& node, ir::ValueId new_weight, ir::ValueId new_bias) const;
};

Family convolution_family();

/// Whether the node is a convolution that reads pixels spaced (compute::spaced) faster than side by side. Shapes are
/// concrete.
bool wants_spaced_pixels(const ir::Graph& graph, const ir::Node& node);

// In convolution_kernel.cpp.
std::unique_ptr<Kernel> prepare_convolution(const PrepareContext& context);

}  // namespace pli::ops
