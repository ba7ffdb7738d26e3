#include "runner/cloud/provider.h"

int provider_open(const struct provider_settings *settings, struct provider **ret,
                  struct error *err) {
    switch (settings->deployment->testbed.provider) {
    case DEPLOYMENT_LOCAL:
    case DEPLOYMENT_HOSTS: return provider_hosts_open(settings, ret, err);
    case DEPLOYMENT_EC2: break;
    }
    return provider_ec2_open(settings, ret, err);
}

int64_t provider_expires_s(const struct deployment *d) {
    int64_t said = d->testbed.time_to_live_sec;
    return clock_wall().ns / (int64_t)NS_PER_SEC + (said ? said : PROVIDER_TIME_TO_LIVE_SEC);
}
