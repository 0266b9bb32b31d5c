import type { RawSettings } from './raw-settings.ts'

/**
 * Addresses of public clouds that an entry of `clouds.yaml` may name with `profile` instead of giving them. A file
 * `clouds-public.yaml` adds to them and comes before them.
 */
export const knownProfiles: Readonly<Record<string, RawSettings>> = {
  auro: { auth: { auth_url: 'https://api.van2.auro.io:5000/v3' }, region_name: 'RegionOne' },
  binero: { auth: { auth_url: 'https://auth.binero.cloud:5000/v3' }, regions: ['europe-se-1'] },
  catalyst: {
    auth: { auth_url: 'https://api.cloud.catalyst.net.nz:5000' },
    regions: ['nz-por-1', 'nz_wlg_2'],
  },
  citycloud: {
    auth: { auth_url: 'https://{region_name}.citycloud.com:5000/v3/' },
    regions: ['Buf1', 'Fra1', 'Sto2', 'Kna1', 'dx1', 'tky1'],
  },
  elastx: { auth: { auth_url: 'https://ops.elastx.cloud:5000/v3' }, region_name: 'se-sto' },
  entercloudsuite: {
    auth: { auth_url: 'https://api.entercloudsuite.com' },
    regions: ['it-mil1', 'nl-ams1', 'de-fra1'],
  },
  limestonenetworks: {
    auth: { auth_url: 'https://auth.cloud.lstn.net:5000/v3' },
    regions: ['us-dfw-1', 'us-slc'],
  },
  otc: { auth: { auth_url: 'https://iam.{region_name}.otc.t-systems.com/v3' }, regions: ['eu-de', 'eu-nl'] },
  ovh: { auth: { auth_url: 'https://auth.cloud.ovh.net/v3' } },
  'ovh-us': {
    auth: { auth_url: 'https://auth.cloud.ovh.us' },
    regions: ['US-EAST-VA-1', 'US-WEST-OR-1', 'US-EAST-VA', 'US-WEST-OR'],
  },
  switchcloud: { auth: { auth_url: 'https://identity.compute.cloud.switch.ch/v3' }, regions: ['zhw', 'zhc'] },
  vexxhost: { auth: { auth_url: 'https://auth.vexxhost.net/v3' } },
  zetta: { auth: { auth_url: 'https://identity.api.zetta.io/v3' }, regions: ['no-osl1'] },
}
