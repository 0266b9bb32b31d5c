/** The types that decide how a machine starts, and those that we write. */
export const gptTypes = {
  efiSystem: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
  biosBoot: '21686148-6449-6e6f-744e-656564454649',
  linuxFilesystem: '0fc63daf-8483-4772-8e79-3d69d8477de4',
  linuxRootX86_64: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
} as const

/** The same of an MBR. */
export const mbrTypes = { fat32: 0x0c, linuxFilesystem: 0x83, data: 0xda, efiSystem: 0xef } as const

/** Type GUIDs of the UEFI specification, the Discoverable Partitions Specification and the large vendors. */
const gptTypeNames: Readonly<Record<string, string>> = {
  'c12a7328-f81f-11d2-ba4b-00a0c93ec93b': 'EFI system',
  '21686148-6449-6e6f-744e-656564454649': 'BIOS boot',
  '024dee41-33e7-11d3-9d69-0008c781f39f': 'MBR partition scheme',
  '0fc63daf-8483-4772-8e79-3d69d8477de4': 'Linux file system',
  '0657fd6d-a4ab-43c4-84e5-0933c84b4f4f': 'Linux swap',
  'e6d6d379-f507-44c2-a23c-238f2a3df928': 'Linux LVM',
  'a19d880f-05fc-4d3b-a006-743f0f84911e': 'Linux RAID',
  '933ac7e1-2eb4-4f13-b844-0e14e2aef915': 'Linux /home',
  '3b8f8425-20e0-4f3b-907f-1a25a76f98e8': 'Linux /srv',
  '4d21b016-b534-45c2-a9fb-5c16e091fd2d': 'Linux /var',
  '7ec6f557-3bc5-4aca-b293-16ef5df639d1': 'Linux /var/tmp',
  'bc13c2ff-59e6-4262-a352-b275fd6f7172': 'Linux extended boot',
  'ca7d7ccb-63ed-4c53-861c-1742536059cc': 'LUKS partition',
  '8da63339-0007-60c0-c436-083ac8230908': 'Linux reserved',
  '4f68bce3-e8cd-4db1-96e7-fbcaf984b709': 'Linux root (x86-64)',
  '44479540-f297-41b2-9af7-d131d5f0458a': 'Linux root (x86)',
  'b921b045-1df0-41c3-af44-4c6f280d3fae': 'Linux root (ARM64)',
  '69dad710-2ce4-4e3c-b16c-21a1d49abed3': 'Linux root (ARM)',
  '8484680c-9521-48c6-9c11-b0720656f69e': 'Linux /usr (x86-64)',
  'b0e01050-ee5f-4390-949a-9101b17104e9': 'Linux /usr (ARM64)',
  '9e1a2d38-c612-4316-aa26-8b49521e5a8b': 'PReP boot',
  'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7': 'Microsoft basic data',
  'e3c9e316-0b5c-4db8-817d-f92df00215ae': 'Microsoft reserved',
  'de94bba4-06d1-4d40-a16a-bfd50179d6ac': 'Windows recovery',
  '5808c8aa-7e8f-42e0-85d2-e1e90434cfb3': 'Windows LDM metadata',
  'af9b60a0-1431-4f62-bc68-3311714a69ad': 'Windows LDM data',
  '83bd6b9d-7f41-11dc-be0b-001560b84f0f': 'FreeBSD boot',
  '516e7cb4-6ecf-11d6-8ff8-00022d09712b': 'FreeBSD data',
  '516e7cb5-6ecf-11d6-8ff8-00022d09712b': 'FreeBSD swap',
  '516e7cb6-6ecf-11d6-8ff8-00022d09712b': 'FreeBSD UFS',
  '516e7cba-6ecf-11d6-8ff8-00022d09712b': 'FreeBSD ZFS',
  '6a898cc3-1dd2-11b2-99a6-080020736631': 'ZFS',
  '48465300-0000-11aa-aa11-00306543ecac': 'Apple HFS+',
  '7c3457ef-0000-11aa-aa11-00306543ecac': 'Apple APFS',
  'fe3a2a5d-4f32-41a7-b725-accc3285a309': 'ChromeOS kernel',
  '3cb8e202-3b7e-47dd-8a3c-7ff2a13cfcec': 'ChromeOS root',
}

const mbrTypeNames: Readonly<Record<number, string>> = {
  1: 'FAT12',
  4: 'FAT16 below 32 MiB',
  5: 'Extended',
  6: 'FAT16',
  7: 'NTFS or exFAT',
  11: 'FAT32',
  12: 'FAT32 (LBA)',
  14: 'FAT16 (LBA)',
  15: 'Extended (LBA)',
  39: 'Windows recovery',
  65: 'PReP boot',
  66: 'Windows LDM',
  130: 'Linux swap',
  131: 'Linux file system',
  133: 'Linux extended',
  142: 'Linux LVM',
  165: 'FreeBSD',
  166: 'OpenBSD',
  169: 'NetBSD',
  175: 'Apple HFS',
  191: 'Solaris',
  218: 'Data without file system',
  238: 'GPT protective',
  239: 'EFI system',
  253: 'Linux RAID',
}

/** A GPT type in words, from the GUID in lower case. */
export function gptTypeName(guid: string): string {
  return gptTypeNames[guid] ?? 'Unknown'
}

/** An MBR type in words. */
export function mbrTypeName(type: number): string {
  return mbrTypeNames[type] ?? 'Unknown'
}
