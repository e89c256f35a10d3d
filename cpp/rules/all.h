// The one list of rules; everything else iterates over it. A rule updates one element: it takes
// the parameter, the gradient and the three slots, of which it uses those named in `slots`.
#pragma once
#include "adam.h"
#include "adaptive.h"
#include "sgd.h"
#include "sign.h"
#include "trust.h"
#include "utility.h"

#define INSTEP_RULES(X)    \
  INSTEP_SGD_RULES(X)      \
  INSTEP_ADAM_RULES(X)     \
  INSTEP_ADAPTIVE_RULES(X) \
  INSTEP_SIGN_RULES(X)     \
  INSTEP_TRUST_RULES(X)    \
  INSTEP_UTILITY_RULES(X)
