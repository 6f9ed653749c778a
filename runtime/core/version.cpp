#include <pli/version.h>

namespace pli {

const char* version() { return PLI_VERSION; }

}  // namespace pli
