#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// y = scale * x + shift, one pair for each position along `axis` of x.
struct ChannelAffine {
  std::vector<double> scale;
  std::vector<double> shift;
  int64_t axis = 1;
};

/// BatchNormalization in every opset's form.
struct BatchNormView {
  ir::ValueId x, scale, bias, mean, variance;
  double epsilon = 1e-5;
  /// Normalizes by the statistics of its own input. Opset 14 and later: training_mode; 7 to 13: an output of statistics
  /// is read; before: is_test is 0.
  bool training = false;
  /// Somebody reads an output beside the first.
  bool statistics_are_read = false;
  /// Opset 7 to 13: outputs of statistics are listed that nobody reads. By the standard's words this is training;
  /// exporters meant inference, and so it is taken.
  bool lists_unread_statistics = false;
  /// What folds as inference. `strict`: by the standard's words alone.
  bool infers(bool strict) const { return !training && !statistics_are_read && !(strict && lists_unread_statistics); }
  /// One number for each channel (dimension 1). Otherwise, before opset 9 only, one for each element of a sample.
  bool spatial = true;

  /// kInvalidModel when attributes and operands contradict each other.
  static BatchNormView of(const ir::Graph& graph, const ir::Node& node);

  /// What the four vectors come to: scale / sqrt(variance + epsilon), bias - mean * that. In double, nothing rounded.
  /// The vectors must be of equal size.
  ChannelAffine affine(const Tensor& gamma, const Tensor& beta, const Tensor& mu, const Tensor& sigma_squared) const;
};

Family batch_normalization_family();

}  // namespace pli::ops
