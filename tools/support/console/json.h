#pragma once

#include "tools/support/console/json_fwd.h"

#include <nlohmann/json.hpp>
