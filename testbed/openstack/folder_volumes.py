"""A back end for Cinder that keeps volumes as sparse files in a folder, for testbeds on one machine.

Debian's own back ends need LVM, iSCSI, NFS mounts or Ceph, none of which a container has. Here a volume is a raw file that
Nova hands to QEMU as it is: the connection type is `gpfs`, the one of Nova's libvirt driver that means "a file that is
already there".
"""
import os

from oslo_concurrency import processutils
from oslo_config import cfg

from cinder import exception
from cinder import interface
from cinder.image import image_utils
from cinder.volume import configuration
from cinder.volume import driver
from cinder.volume import volume_utils

options = [cfg.StrOpt('volumes_folder', help='Where the files of the volumes and snapshots are.')]
cfg.CONF.register_opts(options, group=configuration.SHARED_CONF_GROUP)


@interface.volumedriver
class FolderDriver(driver.VolumeDriver):
    VERSION = '1.0'

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(options)

    def check_for_setup_error(self):
        if not os.path.isdir(self.configuration.volumes_folder):
            raise exception.VolumeBackendAPIException(data='volumes_folder is not a folder')

    def local_path(self, volume):
        return os.path.join(self.configuration.volumes_folder, volume.name)

    def create_volume(self, volume):
        with open(self.local_path(volume), 'xb') as file:
            file.truncate(volume.size * 2**30)

    def delete_volume(self, volume):
        self._remove(volume)

    def create_snapshot(self, snapshot):
        self._copy(snapshot.volume, snapshot)

    def delete_snapshot(self, snapshot):
        self._remove(snapshot)

    def create_volume_from_snapshot(self, volume, snapshot):
        self._copy(snapshot, volume)
        self.extend_volume(volume, volume.size)

    def create_cloned_volume(self, volume, src_vref):
        self._copy(src_vref, volume)
        self.extend_volume(volume, volume.size)

    def extend_volume(self, volume, new_size):
        os.truncate(self.local_path(volume), new_size * 2**30)

    def copy_image_to_volume(self, context, volume, image_service, image_id, disable_sparse=False):
        image_utils.fetch_to_raw(context, image_service, image_id, self.local_path(volume), '1M',
                                 size=volume.size, run_as_root=False)
        self.extend_volume(volume, volume.size)

    def copy_volume_to_image(self, context, volume, image_service, image_meta):
        volume_utils.upload_volume(context, image_service, image_meta, self.local_path(volume), volume,
                                   run_as_root=False)

    def initialize_connection(self, volume, connector):
        return {'driver_volume_type': 'gpfs',
                'data': {'name': volume.name, 'device_path': self.local_path(volume)}}

    def terminate_connection(self, volume, connector, **kwargs):
        pass

    def ensure_export(self, context, volume):
        pass

    def create_export(self, context, volume, connector):
        pass

    def remove_export(self, context, volume):
        pass

    def _update_volume_stats(self):
        self._stats = {'volume_backend_name': 'folder', 'vendor_name': 'testbed', 'driver_version': self.VERSION,
                       'storage_protocol': 'file', 'total_capacity_gb': 'infinite',
                       'free_capacity_gb': 'infinite', 'multiattach': False}

    def _copy(self, source, target):
        processutils.execute('cp', '--sparse=always', self.local_path(source), self.local_path(target))

    def _remove(self, volume):
        try:
            os.remove(self.local_path(volume))
        except FileNotFoundError:
            pass
