#include "runtime/compute/panel_packing.h"

#include "runtime/compute/panel_product.h"
#include "runtime/compute/parallel.h"

#include <algorithm>

namespace pli::compute {

void pack_panels(const float* from, const TensorDesc& weight, bool has_groups, float* to) {
  constexpr int64_t kWorthAThread = 1 << 14;  // elements
  constexpr int64_t kPanelsTogether = 8;
  const size_t first = has_groups ? 1 : 0;
  const int64_t groups = has_groups ? weight.dims[0] : 1, group_stride = has_groups ? weight.strides[0] : 0;
  const int64_t filters = weight.dims[first], filter_stride = weight.strides[first];
  const int64_t channels = weight.dims[first + 1], channel_stride = weight.strides[first + 1];
  int64_t taps = 1;
  for (size_t i = first + 2; i < weight.dims.size(); ++i) taps *= weight.dims[i];
  const int64_t tap_stride = weight.strides.back();  // the kernel's dimensions are contiguous
  const int64_t panels = (filters + kPanelColumns - 1) / kPanelColumns, panel_size = taps * channels * kPanelColumns;
  // Where filters lie side by side, several panels' rows are one stretch of memory.
  const int64_t together = filter_stride == 1 ? kPanelsTogether : 1, parts = (panels + together - 1) / together;
  const int64_t part_size = panel_size * together;
  parallel_for(groups * parts, kWorthAThread / std::max<int64_t>(part_size, 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t group = i / parts, first_panel = i % parts * together;
      const int64_t last_panel = std::min(first_panel + together, panels);
      const float* const source = from + group * group_stride;
      float* const packed = to + group * panels * panel_size;
      if (last_panel * kPanelColumns > filters) std::fill_n(packed + (panels - 1) * panel_size, panel_size, 0.0f);
      for (int64_t channel = 0; channel < channels; ++channel)
        for (int64_t tap = 0; tap < taps; ++tap)
          for (int64_t panel = first_panel; panel < last_panel; ++panel) {
            const int64_t filter = panel * kPanelColumns, columns = std::min(kPanelColumns, filters - filter);
            const float* const column = source + filter * filter_stride + channel * channel_stride + tap * tap_stride;
            float* const row = packed + panel * panel_size + (tap * channels + channel) * kPanelColumns;
            if (filter_stride == 1)
              std::copy_n(column, columns, row);
            else if (columns == kPanelColumns)
              for (int64_t j = 0; j < kPanelColumns; ++j) row[j] = column[j * filter_stride];
            else
              for (int64_t j = 0; j < columns; ++j) row[j] = column[j * filter_stride];
          }
    }
  });
}

}  // namespace pli::compute
